package mgmttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"net/netip"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Daemon is a scripted daemon: the real management server on a Controller. All its methods may be called from any
// goroutine.
type Daemon struct {
	*server.Server
	Ctl *Controller

	t      testing.TB
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu     sync.Mutex // guards prompt
	prompt context.CancelFunc
}

// NewDaemon starts a daemon that is closed when the test ends. Missing fields of cfg are filled in; cfg.Controller, if
// set, must be a *Controller.
func NewDaemon(t testing.TB, cfg server.Config) *Daemon {
	t.Helper()
	d := &Daemon{t: t}
	if d.Ctl, _ = cfg.Controller.(*Controller); d.Ctl == nil {
		d.Ctl = NewController()
		cfg.Controller = d.Ctl
	}
	if cfg.Title == "" {
		cfg.Title = "OpenVPN 2.6 scripted"
	}
	if cfg.Log == nil {
		cfg.Log = func(verb int, flag, text string) {
			if verb <= d.Ctl.Verb() {
				d.Server.Log(mgmt.LogEntry{Flags: flag, Text: text})
			}
		}
	}
	d.Server = server.New(cfg)
	d.ctx, d.cancel = context.WithCancel(context.Background())
	t.Cleanup(d.Stop)
	return d
}

// Stop ends everything, prompts included. It is idempotent.
func (d *Daemon) Stop() {
	d.cancel()
	d.Server.Close()
	d.tasks.Wait()
}

// Pipe attaches a seat in memory and returns its other end.
func (d *Daemon) Pipe(a server.Access) net.Conn {
	here, there := net.Pipe()
	if a.Name == "" {
		a.Name = "pipe"
	}
	d.tasks.Go(func() { _ = d.Server.ServeConn(d.ctx, there, a) })
	return here
}

// ListenTCP serves a loopback port and returns "host:port".
func (d *Daemon) ListenTCP(a server.Access) string {
	d.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.t.Fatal(err)
	}
	d.tasks.Go(func() { _ = d.Server.Serve(d.ctx, ln, a) })
	return ln.Addr().String()
}

// ListenUnix serves a unix socket in a directory of the test and returns its path.
func (d *Daemon) ListenUnix(a server.Access) string {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "mgmt.sock")
	ln, err := server.ListenUnix(path)
	if err != nil {
		d.t.Fatal(err)
	}
	d.tasks.Go(func() { _ = d.Server.Serve(d.ctx, ln, a) })
	return path
}

// Do performs one directive of the daemon's side. Words are split as commands are.
//
//	mode start|client|server        hold SECONDS            cancel (the pending prompt, as a signal does)
//	state NAME [DETAIL [TUN4 [REMOTE:PORT [LOCAL:PORT|- [TUN6]]]]]
//	log FLAG TEXT                   echo TEXT               infomsg TEXT       fatal TEXT
//	notify TYPE TEXT                failed SECRET [REASON]  token TEXT         updown up|down [NAME=VALUE…]
//	userpass SECRET [FLAGS TEXT]    secret SECRET           needok TYPE MSG    needstr TYPE MSG
//	ask-remote HOST PORT PROTO      ask-proxy N tcp|udp HOST                   ask-cert HINT   sign DATA ALGORITHM
//	remote HOST PORT PROTO (adds an entry)                  traffic IN OUT
//	peer CID KID CN ADDR:PORT [pending]                     remap SIGNAL       wait SECONDS
//	client connect|reauth|established|disconnect|cr_response CID KID [TEXT] [NAME=VALUE…] [peer:NAME=VALUE…]
//	client address CID PREFIX own|route
//	script NAME STATE ERROR (adds to the list of scripts)
//	fleet NAME (a node of a fleet)  fleet-away [off] (the other nodes do not hear of orders)
//	changed OPTION OUTCOME (adds to the report of reload)   reload-error TEXT
//
// The asking ones return at once; their answer is recorded as a call, "answer …".
func (d *Daemon) Do(line string) error {
	words, err := lexer.Split(line, "directive")
	if err != nil || len(words) == 0 {
		return fmt.Errorf("directive %q: %v", line, err)
	}
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	num := func(i int) uint64 {
		n, _ := strconv.ParseUint(arg(i), 10, 64)
		return n
	}
	switch words[0] {
	case "mode":
		mode, ok := map[string]Mode{"start": Starting, "client": Client, "server": Server}[arg(1)]
		if !ok {
			return fmt.Errorf("no mode %q", arg(1))
		}
		d.Ctl.SetMode(mode)
	case "state":
		d.Server.State(parseState(words[1:]))
	case "log":
		d.Server.Log(mgmt.LogEntry{Flags: arg(1), Text: arg(2)})
	case "echo":
		d.Server.Echo(arg(1))
	case "infomsg":
		d.Server.InfoMsg(arg(1))
	case "fatal":
		d.Server.Fatal(arg(1))
	case "notify":
		d.Server.Notify(arg(1), arg(2))
	case "failed":
		d.Server.PasswordFailed(arg(1), arg(2))
	case "token":
		d.Server.AuthToken(arg(1))
	case "updown":
		d.Server.UpDown(arg(1) == "up", words[2:])
	case "remap":
		d.Ctl.SetRemap(arg(1))
	case "traffic":
		d.Ctl.SetTraffic(mgmt.ByteCount{In: num(1), Out: num(2)})
	case "remote":
		d.Ctl.set(func() {
			d.Ctl.remotes = append(d.Ctl.remotes, server.Remote{Host: arg(1), Port: arg(2), Proto: arg(3)})
		})
	case "peer":
		real, err := netip.ParseAddrPort(arg(4))
		if err != nil {
			return err
		}
		p := Peer{CID: num(1), KID: num(2), CommonName: arg(3), Real: real, Pending: arg(5) == "pending"}
		p.User, _ = strings.CutPrefix(arg(5), "user=")
		if p.User == arg(5) {
			p.User = ""
		}
		d.Ctl.set(func() { d.Ctl.peers = append(d.Ctl.peers, p) })
	case "changed":
		d.Ctl.SetReload(append(d.Ctl.changes(), mgmt.Reloaded{Option: arg(1), Outcome: mgmt.Outcome(arg(2))}), nil)
	case "script":
		d.script(arg(1), arg(2), arg(3))
	case "fleet":
		d.Ctl.set(func() { d.Ctl.fleet = newFleetNode(arg(1)) })
	case "fleet-away":
		d.Ctl.fleet.setAway(arg(1) != "off")
	case "reload-error":
		d.Ctl.SetReload(nil, errors.New(arg(1)))
	case "client":
		return d.client(words[1:])
	case "wait":
		time.Sleep(time.Duration(num(1)) * time.Second)
	case "cancel":
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.prompt != nil {
			d.prompt()
		}
	default:
		return d.ask(words, arg, num)
	}
	return nil
}

// ask performs the directives that wait for an answer.
func (d *Daemon) ask(words []string, arg func(int) string, num func(int) uint64) error {
	var f func(ctx context.Context) (string, error)
	switch words[0] {
	case "hold":
		f = func(ctx context.Context) (string, error) {
			return "hold", d.Hold(ctx, time.Duration(num(1))*time.Second)
		}
	case "userpass":
		f = func(ctx context.Context) (string, error) {
			var sc *server.Challenge
			if len(words) > 2 {
				sc = &server.Challenge{Text: arg(3), Echo: num(2)&1 != 0, Concat: num(2)&2 != 0}
			}
			c, err := d.AskUserPass(ctx, arg(1), sc)
			return fmt.Sprintf("userpass %s %q %q", arg(1), c.Username, c.Password), err
		}
	case "secret":
		f = func(ctx context.Context) (string, error) {
			p, err := d.AskPassword(ctx, arg(1))
			return fmt.Sprintf("secret %s %q", arg(1), p), err
		}
	case "needok":
		f = func(ctx context.Context) (string, error) {
			ok, err := d.NeedOK(ctx, arg(1), arg(2))
			return fmt.Sprintf("needok %s %v", arg(1), ok), err
		}
	case "needstr":
		f = func(ctx context.Context) (string, error) {
			s, err := d.NeedStr(ctx, arg(1), arg(2))
			return fmt.Sprintf("needstr %s %q", arg(1), s), err
		}
	case "ask-remote":
		f = func(ctx context.Context) (string, error) {
			a, err := d.AskRemote(ctx, server.Remote{Host: arg(1), Port: arg(2), Proto: arg(3)})
			return fmt.Sprintf("remote %+v", a), err
		}
	case "ask-proxy":
		f = func(ctx context.Context) (string, error) {
			a, err := d.AskProxy(ctx, int(num(1)), arg(2) == "tcp", arg(3))
			return fmt.Sprintf("proxy %+v", a), err
		}
	case "ask-cert":
		f = func(ctx context.Context) (string, error) {
			pem, err := d.AskCertificate(ctx, arg(1))
			return fmt.Sprintf("certificate %q", pem), err
		}
	case "sign":
		f = func(ctx context.Context) (string, error) {
			sig, err := d.Sign(ctx, []byte(arg(1)), arg(2))
			return fmt.Sprintf("signature %q", sig), err
		}
	default:
		return fmt.Errorf("no directive %q", words[0])
	}
	ctx, cancel := context.WithCancel(d.ctx)
	d.mu.Lock()
	d.prompt = cancel
	d.mu.Unlock()
	d.tasks.Go(func() {
		defer cancel()
		switch text, err := f(ctx); {
		case d.ctx.Err() != nil:
		case err != nil:
			d.Ctl.Record("%s: %v", words[0], err)
		default:
			d.Ctl.Record("answer %s", text)
		}
	})
	return nil
}

// client performs the client directives.
func (d *Daemon) client(words []string) error {
	if len(words) < 3 {
		return fmt.Errorf("client %q: event, CID, KID", words)
	}
	cid, _ := strconv.ParseUint(words[1], 10, 64)
	if words[0] == "address" {
		p, err := netip.ParsePrefix(words[2])
		if err != nil {
			return err
		}
		d.Server.ClientAddress(cid, p, len(words) > 3 && words[3] == "own")
		return nil
	}
	kid, _ := strconv.ParseUint(words[2], 10, 64)
	ev, text := server.ClientEvent{CID: cid, KID: kid}, ""
	for _, w := range words[3:] {
		if p, ok := strings.CutPrefix(w, "peer:"); ok {
			ev.PeerInfo = append(ev.PeerInfo, p)
		} else if strings.Contains(w, "=") {
			ev.Env = append(ev.Env, w)
		} else {
			text = w
		}
	}
	switch words[0] {
	case "connect":
		d.Server.ClientConnect(ev)
	case "reauth":
		d.Server.ClientReauth(ev)
	case "established":
		d.Server.ClientEstablished(ev)
	case "disconnect":
		d.Server.ClientDisconnect(ev)
	case "cr_response":
		d.Server.ClientCRResponse(ev, text)
	default:
		return fmt.Errorf("no client event %q", words[0])
	}
	return nil
}

func parseState(words []string) mgmt.State {
	f := append(words, make([]string, 6)...)
	s := mgmt.State{Name: f[0], Detail: f[1]}
	s.TunIPv4, _ = netip.ParseAddr(f[2])
	s.Remote, _ = netip.ParseAddrPort(f[3])
	s.Local, _ = netip.ParseAddrPort(f[4])
	s.TunIPv6, _ = netip.ParseAddr(f[5])
	return s
}
