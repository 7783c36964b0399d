package server

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// Relay is a daemon at another port, whose seat a server shares out among its own (mgmt/mux). It takes the place of the
// Controller: commands go to it as they are, and what it tells comes back through Forward. Subscriptions, prompts, decisions
// about clients, roles and limits stay the server's.
type Relay interface {
	// Do sends a command line, with the lines of its block without END, and hands over the reply: lines without their ends. done
	// is called once, in the order of the daemon's output: after what it told before, and before what it tells next. When
	// the daemon is not there, done gets an ERROR line. Do may take as long as a write does.
	Do(line string, block []string, done func(reply []string))
}

// runRelayed executes a command against the daemon behind. A command of a word that only the daemon knows is for admins.
func (c *call) runRelayed(word string) {
	switch f := handlers[word].relayed; {
	case f == nil, len(c.args) < c.cmd.Min && !c.passwordIsBlock():
		c.pass(nil)
	default:
		f(c)
	}
}

// pass hands the line on as it is.
func (c *call) pass(then func(ok bool)) { c.relay(c.text, nil, then) }

// relay hands a command on, and waits for the reply, which goes to the seat. then is called with the reply, in the order of
// the daemon's output, without locks; ok tells that it is no error.
func (c *call) relay(line string, block []string, then func(ok bool)) {
	c.relayTo(line, block, func(reply []string) {
		c.relayed(reply)
		if then != nil {
			then(succeeded(reply))
		}
	})
}

func succeeded(reply []string) bool {
	return len(reply) > 0 && !strings.HasPrefix(reply[0], wire.Error)
}

// relayTo hands a command on and waits until done was called, or the limit is over: then the seat gets an error, and a late
// reply is for nobody.
func (c *call) relayTo(line string, block []string, done func(reply []string)) {
	if d := c.pace.Reserve().Delay(); d > 0 { // a daemon may have one thread for commands and packets
		select {
		case <-time.After(d):
		case <-c.gone:
			return
		}
	}
	over := make(chan struct{})
	var once sync.Once
	c.s.cfg.Relay.Do(line, block, func(reply []string) {
		once.Do(func() {
			defer close(over)
			done(reply)
		})
	})
	batch := c.out.end() // what is told meanwhile is for the writer
	limit := time.NewTimer(c.s.cfg.Limits.Relay)
	defer limit.Stop()
	select {
	case <-over:
	case <-limit.C:
		once.Do(func() { c.reply(wire.Error + "the daemon has not answered in " + c.s.cfg.Limits.Relay.String()) })
	}
	if batch {
		c.out.begin()
	}
}

// relayed queues a reply for the seat, in one piece.
func (c *call) relayed(lines []string) {
	n := 0
	for _, l := range lines {
		n += len(l) + 2
	}
	b := make([]byte, 0, n)
	for _, l := range lines {
		if c.maySee() {
			b = append(mgmt.AppendText(b, l), '\r', '\n')
		} else {
			b = append(b, newEntry(append(mgmt.AppendText(nil, l), '\r', '\n')).open...)
		}
	}
	if len(b) > 0 {
		c.out.push(reply, b)
	}
}

// relayVersion keeps what the seat speaks: the daemon knows its one client, which speaks what it does.
func (c *call) relayVersion() {
	if len(c.args) == 0 {
		c.pass(nil)
		return
	}
	c.announce()
}

// subscription is the flag of a seat for log, state or echo.
func (st *seat) subscription(name string) *bool {
	switch name {
	case streamLog:
		return &st.log
	case streamState:
		return &st.state
	}
	return &st.echo
}

// Streams that a seat may subscribe to, by the command that does so.
const (
	streamLog   = "log"
	streamState = "state"
	streamEcho  = "echo"
)

// relayHistory is log, state and echo. The daemon tells what any seat wants; a seat gets what it asked for, from the reply on that
// grants it. "on all" goes in one piece, so that it loses and repeats nothing.
func (c *call) relayHistory() {
	name, args := c.cmd.Name, c.args[:min(2, len(c.args))]
	set := func(on bool) func(bool) {
		return func(ok bool) {
			c.s.mu.Lock()
			defer c.s.mu.Unlock()
			if ok {
				*c.subscription(name) = on
			}
		}
	}
	if len(args) > 0 && args[len(args)-1] == "off" || len(args) == 2 && args[0] == "off" {
		for _, a := range args { // one at a time: off may be for this seat alone
			switch {
			case a != "off":
				line := name + " " + lexer.Quote(a)
				if a == "on" {
					c.relay(line, nil, set(true))
				} else {
					c.relay(line, nil, nil)
				}
			case c.othersWant(name):
				set(false)(true)
				c.reply("SUCCESS: real-time " + name + " notification set to OFF")
			default:
				c.relay(name+" off", nil, set(false))
			}
		}
		return
	}
	if len(args) > 0 && (args[0] == "on" || args[len(args)-1] == "on") {
		c.pass(set(true))
		return
	}
	c.pass(nil)
}

// othersWant reports whether another seat has subscribed.
func (c *call) othersWant(name string) bool {
	return c.s.wanted(func(st *seat) bool { return st != c.seat && *st.subscription(name) })
}

// relayByteCount asks the daemon for the shortest interval of all seats.
func (c *call) relayByteCount() {
	every := time.Duration(max(0, number(c.args[0]))) * time.Second
	c.s.mu.Lock()
	before := c.s.shortest()
	c.every, c.countedAt = every, nil
	after := c.s.shortest()
	c.s.mu.Unlock()
	if before == after && before > 0 {
		c.reply("SUCCESS: bytecount interval changed")
		return
	}
	c.relay(byteCountLine(after), nil, nil)
}

func byteCountLine(d time.Duration) string { return "bytecount " + strconv.Itoa(int(d/time.Second)) }

// shortest is the shortest byte count interval of all seats, 0 for none. The lock is held.
func (s *Server) shortest() (d time.Duration) {
	for _, st := range s.seats {
		if st.every > 0 && (d == 0 || st.every < d) {
			d = st.every
		}
	}
	return d
}

// relayHold hands the flag on. A release that the daemon took ends the prompt.
func (c *call) relayHold() {
	release := len(c.args) > 0 && c.args[0] == "release"
	c.pass(func(ok bool) {
		if ok && release {
			c.settlePending(askHold)
		}
	})
}

// relayBlock hands the block that answers a prompt on. The reply uses the word of the request as the seat saw it.
func (c *call) relayBlock(b *block, kind promptKind, lines []string) {
	c.relayTo(c.text, append([]string{}, lines...), func(reply []string) {
		for i, l := range reply {
			reply[i] = strings.Replace(l, ": pk-sign command", ": "+b.word+" command", 1)
		}
		c.relayed(reply)
		if succeeded(reply) {
			c.settlePending(kind)
		}
	})
}

func (c *call) settlePending(kind promptKind) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if p := c.s.pending(kind); p != nil {
		c.s.settle(p, c.seat, nil)
	}
}

var answers = map[string]struct {
	kind promptKind
	what string // in errors
}{
	"needok": {askOK, "needok-confirmation of type"}, "needstr": {askString, "needstr-string of type"},
	"remote": {askRemote, "remote command"}, "proxy": {askProxy, "proxy command"},
}

// relayAnswer hands the answer to a prompt on; whether it is one is the daemon's to say. An empty text leaves the prompt open.
func (c *call) relayAnswer() {
	a := answers[c.cmd.Name]
	typ := ""
	if a.kind == askOK || a.kind == askString {
		typ = c.args[0]
	}
	c.s.mu.Lock()
	late := c.s.pending(a.kind) == nil && c.s.late(a.kind, typ, c.seat)
	c.s.mu.Unlock()
	if late {
		c.reply(wire.Error + a.what + " '" + typ + "' came too late, " + answeredBy)
		return
	}
	open := len(c.args) > 1 && c.args[1] == "" && typ != ""
	c.pass(func(ok bool) {
		if ok && !open {
			c.settlePending(a.kind)
		}
	})
}

// relaySecret collects a user name and a password for each seat apart, as for a prompt of our own, and hands both on when
// both are there. The reply to the command that completes them is the daemon's.
func (c *call) relaySecret() {
	if c.passwordIsBlock() {
		if c.s.protocol() < 6 {
			c.pass(nil)
		} else {
			c.passwordBlock()
		}
		return
	}
	c.secret(c.cmd.Name, c.args[0], &c.args[1])
}

// handOn sends the answer of a secret prompt to the daemon, the half that came last as the command that is answered.
func (c *call) handOn(p *prompt, what string, all pair) {
	name := lexer.Quote(p.typ)
	user, pass := "username "+name+" "+quoted(all.user), "password "+name+" "+quoted(all.pass)
	first, last := user, pass
	if what == "username" {
		first, last = pass, user
	}
	if p.user && p.pass {
		c.relayTo(first, nil, func([]string) {})
	}
	c.relay(last, nil, func(ok bool) {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		if ok && c.s.isPending(p) {
			c.s.settle(p, c.seat, nil)
		}
	})
}

func quoted(s *string) string {
	if s == nil {
		return ""
	}
	return lexer.Quote(*s)
}

// relayDecision is client-deny and client-auth-nt.
func (c *call) relayDecision() {
	if k, ok := c.key(); ok {
		c.decideRelayed(k, c.text, nil)
	}
}

// decideRelayed lets one seat decide about a key, and hands its decision on.
func (c *call) decideRelayed(k clientKey, line string, block []string) {
	s, name := c.s, strings.TrimSuffix(c.cmd.Name, "-nt")
	s.mu.Lock()
	by := s.decided[k]
	if by != nil && by != c.seat {
		s.mu.Unlock()
		c.reply("ERROR: " + name + " command failed, " + answeredBy)
		return
	}
	s.decided[k] = c.seat
	s.mu.Unlock()
	c.relay(line, block, func(ok bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !ok && by == nil && s.decided[k] == c.seat {
			delete(s.decided, k)
		}
	})
}
