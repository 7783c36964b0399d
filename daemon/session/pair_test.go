package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/message"
	"github.com/moongate-vpn/moongate/daemon/tls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// certificate is the server's; it is made outside of the bubbles, whose time is long ago.
var certificate = func() tls.Certificate {
	ca, err := pki.NewCA("CA")
	if err != nil {
		panic(err)
	}
	leaf, err := ca.Issue(pki.Spec{Name: "server", Server: true})
	if err != nil {
		panic(err)
	}
	cert, err := tls.X509KeyPair(leaf.CertPEM, leaf.KeyPEM)
	if err != nil {
		panic(err)
	}
	return cert
}()

// end is one end of a pair: a session, the smallest engine around it, and the link towards it.
type end struct {
	name    string
	s       *Session
	in      *daemontest.Lossy
	other   *end
	verify  Verifiers // those that a server asks; 0: none, logins are accepted
	hold    bool      // nobody is asked until the dialogue says so
	slow    bool      // the data channel is not opened until the dialogue says so
	ready   bool      // the data channel is open
	due     time.Time
	say     func(format string, args ...any)
	timers  Timers
	traffic Traffic

	user string // of the login
	addr string // a client's, or where a server's session is

	// At a server.
	stage      Stage
	identity   Identity
	push       Push
	challenger *end
	challenges *end
	place      func(addr string) *end // the session at an address

	tokens *TokenPolicy // nil: none
	owner  *Owner       // since the first login

	// At a client.
	pull      Pull
	password  string
	withholds bool // acknowledges nothing behind its key message
}

const info = "IV_VER=2.6.14\nIV_PROTO=990\nIV_CIPHERS=AES-256-GCM\n"

// newEnd makes an end with its session.
func newEnd(t *testing.T, name string, cfg Config, seed uint64, say func(string, ...any)) *end {
	t.Helper()
	cfg.Wrap = ctrlwrap.NewPlain()
	cfg.LocalOptions, cfg.PeerInfo = "V4", info
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	if cfg.Role == keys.Client {
		cfg.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	s, err := New(cfg, present())
	if err != nil {
		t.Fatal(err)
	}
	e := &end{name: name, s: s, user: "user", password: "password", in: daemontest.NewLossy(seed, daemontest.Weather{Delay: time.Millisecond})}
	e.say = func(format string, args ...any) { say(name+" "+format, args...) }
	e.traffic.Begin(present())
	e.timers.Age(present())
	return e
}

// work takes what has arrived, and moves the session. It reports whether anything happened.
func (e *end) work() (any bool) {
	now := present()
	for {
		pkt, ok := e.in.Recv(now)
		if !ok {
			break
		}
		any = true
		if pkt[0]>>3 == 6 || pkt[0]>>3 == 9 {
			e.opened(pkt, now)
			continue
		}
		if err := e.s.Input(pkt, now); err == nil {
			e.traffic.Heard(now)
		} else if e.s.cfg.Logins {
			e.contest(pkt, now)
		}
	}
	for {
		e.due = e.s.Step(now)
		ev, ok := e.s.Event()
		if !ok {
			break
		}
		any = true
		for ; ok; ev, ok = e.s.Event() {
			e.event(ev, now)
		}
	}
	for pkt, ok := e.s.Next(); ok; pkt, ok = e.s.Next() {
		any = true
		e.other.in.Send(pkt, now)
		e.traffic.Sent(now)
	}
	if e.challenger != nil {
		any = e.challenger.work() || any
		if e.challenger != nil {
			e.due = Earliest(e.due, e.challenger.due)
		}
	}
	pull, next := e.pull.Check(now)
	e.due = Earliest(e.due, next)
	switch pull {
	case PullFirst, PullAsk:
		_ = e.s.SendText("PUSH_REQUEST")
		any = true
	case PullOverdue:
		e.say("has no reply to its requests")
		e.pull, any = Pull{}, true
	}
	due, next := e.timers.Check(&e.traffic, now)
	switch due {
	case NothingDue:
	case PingDue:
		e.send(nil)
		any = true
	default:
		e.say("timer %d", due)
		e.timers = Timers{}
		any = true
	}
	e.due = Earliest(e.due, next)
	return any
}

// event plays the engine.
func (e *end) event(ev Event, now time.Time) {
	switch ev := ev.(type) {
	case control.InitialPacket, control.TLSUp:
	case control.NeedCredentials:
		_ = e.s.SetCredentials(e.user, e.password)
		if e.withholds {
			e.in.Loss = 1
		}
	case KeyMessage:
		if ev.Login == 0 {
			return
		}
		e.say("key message %d: login %d", ev.KeyID, ev.Login)
		e.identity = Identity{Name: ev.Message.Username, User: ev.Message.Username}
		switch {
		case e.tokens != nil && e.claims(ev, now):
		case e.hold:
		case e.verify == 0:
			e.s.Verdict(ev.Login, 0, nil, now)
		default:
			e.s.Ask(ev.Login, e.verify, now.Add(e.s.Patience()))
		}
	case control.Active:
		e.say("key %d active", ev.KeyID)
		if !e.s.cfg.Logins && ev.KeyID == 0 {
			e.pull.Start(now.Add(-pullDelay), e.s.cfg.HandWindow) // without the pause of real clients
		}
	case Deferred:
		e.say("login of key %d deferred", ev.KeyID)
	case Accepted:
		e.say("login of key %d accepted", ev.KeyID)
	case Refused:
		e.say("login of key %d refused: %v", ev.KeyID, ev.Why)
	case Introduced:
		e.say("key %d introduced, accepted %v", ev.KeyID, ev.Accepted)
	case Admitted:
		e.say("key %d admitted", ev.KeyID)
		switch {
		case ev.KeyID > 0:
			e.giveToken(now)
		case e.challenges != nil:
			e.challenges.supersede(e)
		default:
			e.stage.Reach(Authorised)
			if !e.slow {
				e.open()
			}
		}
	case TurnedAway:
		e.say("turned away: %v", ev.Why)
		_ = e.s.SendText("AUTH_FAILED")
		e.s.Leave(SentAway, now.Add(5*time.Second))
	case Unusable:
		e.say("key %d unusable: %v", ev.KeyID, ev.Err)
	case SoftReset:
		e.say("soft reset to key %d, by the peer %v, age %v", ev.KeyID, ev.ByPeer, ev.Age.Round(time.Second))
	case control.Failed:
		e.say("key %d failed: %v, dead %v", ev.KeyID, ev.Err, ev.Dead)
		if e.challenges != nil && ev.Dead {
			e.challenges.dropChallenger()
		}
	case Left:
		e.say("left")
	case control.Text:
		e.text(ev.Text, now)
	default:
		e.say("event %T", ev)
	}
}

func (e *end) text(text string, now time.Time) {
	switch {
	case text == "PUSH_REPLY" && !e.ready:
		e.pull.Reply("")
		if e.open(); !e.slow {
			e.pull.Opened()
		}
	case text == "PUSH_REQUEST":
		if e.push.Request(e.stage, now) {
			e.reply(now)
		}
		return
	case strings.HasPrefix(text, "auth-token "):
		e.password = strings.TrimPrefix(text, "auth-token ")
		e.say("gets a token")
		return
	case strings.HasPrefix(text, "PUSH_UPDATE,"):
		e.say("hears %s", text)
		if err := e.pull.Update(strings.TrimPrefix(text, "PUSH_UPDATE,")); err != nil {
			e.say("refuses the update: %v", err)
		}
		e.update()
		return
	case text == "EXIT":
		e.s.Leave(SaidGoodbye, now.Add(5*time.Second))
	case strings.HasPrefix(text, "CR_RESPONSE"):
		e.say("hears %s, which counts: %v", text, e.s.AwaitsAnswer())
		if e.s.AwaitsAnswer() {
			e.s.TakeAnswer()
		}
		return
	}
	e.say("hears %s", text)
}

// open opens the data channel under the usual terms.
func (e *end) open() {
	their := message.ParsePeerInfo(info)
	terms, err := ServerTerms([]string{"AES-256-GCM"}, "", &their, "V4", 7)
	if err == nil {
		p := terms.Params(e.s.cfg.Role)
		p.ReplayWindow = 64
		_, err = e.s.Open(terms, p)
	}
	if err != nil {
		e.say("cannot open: %v", err)
		return
	}
	e.ready = true
	now := present()
	e.stage.Reach(Established)
	if e.push.Requested() {
		e.reply(now)
	}
	e.timers.Open()
	e.timers.Use(&e.traffic, now)
}

// send sends a payload, a ping when it is nil, to the other end.
func (e *end) send(payload []byte) {
	now := present()
	ch := e.s.Channel()
	if ch == nil {
		e.say("has no channel")
		return
	}
	var pkt []byte
	var err error
	if payload == nil {
		pkt, err = ch.SealPing(nil, now)
	} else {
		e.traffic.TunOut.Add(uint64(len(payload)))
		pkt, err = ch.Seal(nil, payload, now)
	}
	if err != nil {
		e.say("cannot seal: %v", err)
		return
	}
	e.traffic.Sent(now)
	e.other.in.Send(pkt, now)
}

// opened takes a data packet.
func (e *end) opened(pkt []byte, now time.Time) {
	ch, keyID := e.s.Channel(), pkt[0]&7
	if ch == nil {
		e.say("drops a data packet: no channel")
		return
	}
	payload, kind, err := ch.Open(pkt, now)
	switch {
	case err != nil:
		e.say("drops a data packet of key %d: %v", keyID, err)
		return
	case kind == data.Ping:
		e.say("hears a ping under key %d", keyID)
	default:
		e.traffic.TunIn.Add(uint64(len(payload)))
		e.say("opens %q under key %d", payload, keyID)
	}
	e.traffic.Heard(now)
	e.float()
}

// play runs both ends for a while.
func play(ends []*end, d time.Duration) {
	stop := present().Add(d)
	for {
		synctest.Wait()
		any := false
		for _, e := range ends {
			any = e.work() || any
		}
		if any {
			continue
		}
		next := stop
		for _, e := range ends {
			next = Earliest(next, Earliest(e.due, e.in.Next()))
		}
		if !present().Before(stop) {
			return
		}
		if next.Before(present()) {
			next = present()
		}
		// Handshakes wake nobody here: look at them often while one runs.
		if slices.ContainsFunc(ends, func(e *end) bool { return e.s.Busy() }) {
			next = Earliest(next, present().Add(time.Millisecond))
		}
		time.Sleep(max(next.Sub(present()), time.Microsecond))
	}
}

// Whatever the network does to packets, a pair logs in, renews, and data flows under every key.
func TestPairInBadWeather(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard []string
				say := func(format string, args ...any) { heard = append(heard, fmt.Sprintf(format, args...)) }
				server := newEnd(t, "server", Config{Logins: true, Config: control.Config{Role: keys.Server}}, seed, say)
				client := newEnd(t, "client", Config{Config: control.Config{Role: keys.Client}}, seed+100, say)
				defer server.s.Close()
				defer client.s.Close()
				server.other, client.other = client, server
				storm := daemontest.Weather{Loss: 0.2, Duplicate: 0.2, Reorder: 0.3, Delay: 20 * time.Millisecond, ReorderBy: 300 * time.Millisecond}
				server.in.Weather, client.in.Weather = storm, storm
				ends := []*end{client, server}
				play(ends, time.Minute)
				for n := range 3 {
					if n > 0 {
						if err := []*end{client, server}[n%2].s.Renegotiate(present()); err != nil {
							t.Fatalf("renewal %d: %v\n%s", n, err, strings.Join(heard, "\n"))
						}
						play(ends, 2*time.Minute)
					}
					calm := daemontest.Weather{Delay: time.Millisecond}
					server.in.Weather, client.in.Weather = calm, calm
					client.send(fmt.Appendf(nil, "up %d", n))
					server.send(fmt.Appendf(nil, "down %d", n))
					play(ends, time.Second)
					for _, want := range []string{fmt.Sprintf(`server opens "up %d" under key %d`, n, n), fmt.Sprintf(`client opens "down %d" under key %d`, n, n)} {
						if !slices.Contains(heard, want) {
							t.Fatalf("missing: %s\n%s", want, strings.Join(heard, "\n"))
						}
					}
					server.in.Weather, client.in.Weather = storm, storm
				}
			})
		})
	}
}

var errDenied = errors.New("denied")
