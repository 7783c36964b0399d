package mgmttest

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// Player plays dialogues on a Daemon in memory. It must be made and used inside a synctest bubble, whose clock it uses:
// "nothing moves any more" is then exact.
type Player struct {
	d      *Daemon
	access server.Access
	seats  map[int]*end
}

// end is the client's end of a seat.
type end struct {
	conn net.Conn
	send chan string // to the one goroutine that writes; never closed
	mu   sync.Mutex  // guards got
	got  []string
}

// NewPlayer starts a daemon as the words of config say.
//
//	hold  forget-disconnect  signal  version=N  password=TEXT  role=NAME  verb=N  log-cache=N
func NewPlayer(t testing.TB, config string) *Player {
	t.Helper()
	ctl := NewController()
	cfg := server.Config{Controller: ctl, PID: 4711}
	p := &Player{seats: make(map[int]*end)}
	for _, word := range strings.Fields(config) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "hold":
			cfg.Hold = true
		case "forget-disconnect":
			cfg.ForgetDisconnect = true
		case "signal":
			cfg.SignalDisconnect = true
		case "version":
			cfg.Version = atoi(t, value)
		case "verb":
			ctl.SetVerb(atoi(t, value))
		case "log-cache":
			cfg.LogCache = atoi(t, value)
		case "password":
			p.access.Passwords = append(p.access.Passwords, server.Password{Text: value})
		case "role":
			role, err := mgmt.ParseRole(value)
			if err != nil {
				t.Fatal(err)
			}
			p.access.Role = role
		default:
			t.Fatalf("config word %q", word)
		}
	}
	p.d = NewDaemon(t, cfg)
	return p
}

func atoi(t testing.TB, s string) int {
	t.Helper()
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			t.Fatalf("%q is no number", s)
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// Daemon is the daemon played on.
func (p *Player) Daemon() *Daemon { return p.d }

// Attach implements Port.
func (p *Player) Attach(seat int) {
	e := &end{conn: p.d.Pipe(p.access), send: make(chan string, 64)}
	p.seats[seat] = e
	p.d.tasks.Go(func() {
		for {
			select {
			case line := <-e.send:
				if _, err := e.conn.Write([]byte(line + "\n")); err != nil {
					return
				}
			case <-p.d.ctx.Done():
				return
			}
		}
	})
	p.d.tasks.Go(func() {
		var out wire.Output
		buf := make([]byte, 1024)
		for ask := true; ; {
			n, err := e.conn.Read(buf)
			out.Feed(buf[:n], ask, func(line string, _ bool) {
				ask = ask && !strings.HasPrefix(line, ">INFO:")
				e.add(line)
			})
			if err != nil {
				e.add("<closed>")
				return
			}
		}
	})
}

func (e *end) add(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, line)
}

// Detach implements Port.
func (p *Player) Detach(seat int) { p.seats[seat].conn.Close() }

// Send implements Port.
func (p *Player) Send(seat int, line string) {
	p.seats[seat].send <- line
}

// Do implements Port.
func (p *Player) Do(directive string) error { return p.d.Do(directive) }

// Settle implements Port. It lets the bubble's clock run a little, for the delay after a wrong password.
func (p *Player) Settle(int) []Step {
	time.Sleep(200 * time.Millisecond)
	synctest.Wait()
	var out []Step
	for _, call := range p.d.Ctl.Calls() {
		out = append(out, Step{Op: Call, Text: call})
	}
	var order []int
	for n := range p.seats {
		order = append(order, n)
	}
	slices.Sort(order)
	for _, n := range order {
		e := p.seats[n]
		e.mu.Lock()
		for _, line := range e.got {
			out = append(out, Step{Op: Receive, Seat: n, Text: line})
		}
		e.got = nil
		e.mu.Unlock()
	}
	return out
}
