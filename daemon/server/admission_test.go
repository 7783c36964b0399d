package server

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Every reason to refuse a newcomer.
func TestAdmission(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	used := ratelimit.New(1, time.Hour)
	used.Allow(now)
	const day = 24 * time.Hour
	old := ctrlwrap.First{ClientKey: new(keys.StaticKey), Metadata: keys.TimeMetadata(now.Add(-2 * day))}
	for _, tt := range []struct {
		name     string
		a        admission
		first    ctrlwrap.First
		replaces bool
		want     string
	}{
		{name: "open", a: admission{max: 1, creation: ratelimit.New(1, time.Hour)}},
		{name: "leaving", a: admission{max: 1, leaving: true}, replaces: true, want: "while server is shutting down"},
		{name: "full", a: admission{clients: 2, max: 2}, want: "maximum number of clients (2)"},
		{name: "full, but one goes", a: admission{clients: 2, max: 2}, replaces: true},
		{name: "too often", a: admission{max: 1, creation: used}, replaces: true, want: "--connect-freq"},
		{name: "old key", a: admission{max: 1, maxAge: day}, first: old, replaces: true, want: "2 days old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.a.refuses(&tt.first, outer{at: netip.MustParseAddrPort("192.0.2.1:4000")}, tt.replaces, now)
			if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What the hub is sure to refuse gets no answer from preHandshake, whatever the wrapping.
func TestPreHandshakeIsSilentBehindAClosedDoor(t *testing.T) {
	for name, w := range wrappings(t) {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, w.server, w.client())
			d.closed = "the server is leaving"
			d.handle(d.wall, d.at, d.packet(t, w.reset, 0, clientSession, wire.ControlBody{}), d.now)
			if len(d.wall.sent) != 0 || len(d.admitted) != 0 || d.turned != 1 {
				t.Errorf("%d answers, %d admitted, %d turned away", len(d.wall.sent), len(d.admitted), d.turned)
			}
			d.closed = ""
			if d.knock(t, w.reset); len(d.wall.sent) != 1 {
				t.Error("no answer behind an open door")
			}
		})
	}
}

// A reason to refuse newcomers refuses a client that starts again from an address that has an instance, as it does one from
// a fresh address.
func TestOneAdmissionForAllWaysIn(t *testing.T) {
	t.Parallel()
	wrap, err := keys.GenerateWrapKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v2 := func(age time.Duration) ctrlwrap.Wrapper {
		key, err := keys.GenerateStaticKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		wkc, err := wrap.Wrap(key, keys.TimeMetadata(time.Now().Add(-age)))
		if err != nil {
			t.Fatal(err)
		}
		return ctrlwrap.NewTLSCryptV2Client(key, wkc)
	}
	plain := func() ctrlwrap.Wrapper { return ctrlwrap.NewPlain() }
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name    string
		options []string
		v2      bool
		first   func() ctrlwrap.Wrapper
		again   func() ctrlwrap.Wrapper
		shut    func(r *rig)
		log     string
	}{
		{
			name: "verify script", v2: true, options: []string{"--script-security", "2", "--tls-crypt-v2-verify", "SCRIPT"},
			first: func() ctrlwrap.Wrapper { return v2(0) }, again: func() ctrlwrap.Wrapper { return v2(0) },
			shut: func(r *rig) { r.script("verify.sh", "exit 1") }, log: "TLS CRYPT V2 VERIFY SCRIPT ERROR",
		},
		{
			name: "age of the key", v2: true, options: []string{"--tls-crypt-v2-max-age", "30"},
			first: func() ctrlwrap.Wrapper { return v2(day) }, again: func() ctrlwrap.Wrapper { return v2(31 * day) },
			shut: func(*rig) {}, log: "--tls-crypt-v2-max-age",
		},
		{name: "connect-freq", options: []string{"--connect-freq", "1", "3600"}, first: plain, again: plain, shut: func(*rig) {}, log: "--connect-freq"},
		{
			name: "leaving", first: plain, again: plain, log: "while server is shutting down",
			shut: func(r *rig) {
				r.onHub(func(h *hub) {
					h.leaving = time.Now()
					h.publish()
				})
			},
		},
	} {
		for _, way := range []string{"same address", "fresh address"} {
			t.Run(tt.name+", "+way, func(t *testing.T) {
				inFakeTime(t, func(t *testing.T) {
					options := append([]string(nil), tt.options...)
					dir := t.TempDir()
					var op wire.Opcode
					if tt.v2 {
						if err := os.WriteFile(dir+"/v2.key", wrap.Format(), 0o600); err != nil {
							t.Fatal(err)
						}
						options, op = append(options, "--tls-crypt-v2", dir+"/v2.key"), wire.OpControlHardResetClientV3
					}
					for i, o := range options {
						if o == "SCRIPT" {
							options[i] = dir + "/verify.sh"
							if err := os.WriteFile(options[i], []byte("#!/bin/sh\nexit $(cat "+dir+"/code)\n"), 0o700); err != nil {
								t.Fatal(err)
							}
							if err := os.WriteFile(dir+"/code", []byte("0"), 0o600); err != nil {
								t.Fatal(err)
							}
						}
					}
					r := newRig(t, inMemory, options...)
					c, err := r.dial("", tt.first())
					if err != nil {
						t.Fatal(err)
					}
					defer c.close()
					if err := c.begin(r.cert, tt.first(), op); err != nil {
						t.Fatal(err)
					}
					if !c.up(5 * time.Second) {
						t.Fatalf("the first session: %v, %q", c.failed, c.texts)
					}
					tt.shut(r)
					_ = os.WriteFile(dir+"/code", []byte("1"), 0o600)
					if way == "fresh address" {
						c.session.Close()
						if c, err = r.dial("", tt.again()); err != nil {
							t.Fatal(err)
						}
						defer c.close()
					}
					c.session.Close()
					if err := c.begin(r.cert, tt.again(), op); err != nil {
						t.Fatal(err)
					}
					if c.up(time.Second) || len(c.active) > 0 {
						t.Errorf("the client came in again: %q", c.texts)
					}
					if !strings.Contains(r.log.String(), tt.log) {
						t.Errorf("the log does not say %q", tt.log)
					}
				})
			})
		}
	}
}

// A full server still takes back a client that starts again, and others as soon as there is room: they got no answer
// before, so that they ask again soon.
func TestMaxClients(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		r := newRig(t, inMemory, "--max-clients", "1")
		c, err := r.dial("", ctrlwrap.NewPlain())
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if !c.up(5 * time.Second) {
			t.Fatal("the first client is not let in")
		}
		other, err := r.dial("", ctrlwrap.NewPlain())
		if err != nil {
			t.Fatal(err)
		}
		defer other.close()
		if other.up(500 * time.Millisecond) {
			t.Fatal("a second client was let in")
		}
		if other.session.Peer() != (wire.SessionID{}) {
			t.Error("a client that cannot come in got an answer")
		}
		c.session.Close()
		if err := c.begin(r.cert, ctrlwrap.NewPlain(), 0); err != nil {
			t.Fatal(err)
		}
		if !c.up(5 * time.Second) {
			t.Errorf("the first client is not let in again: %q", c.texts)
		}
		if err := c.session.SendText("EXIT"); err != nil {
			t.Fatal(err)
		}
		c.play(50*time.Millisecond, func() bool { return false })
		r.onHub(func(h *hub) {
			for _, i := range h.instances {
				h.remove(i)
			}
		})
		if !other.up(5 * time.Second) {
			t.Error("the second client is not let in when there is room")
		}
	})
}

// Handshakes that one network leaves open hold up no one from another, however few places there are.
func TestHalfOpenSessionsAreShared(t *testing.T) {
	now := time.Now()
	o := new(config.Options)
	o.MaxClients, o.HandWindow = 4, time.Minute
	b := &base{deps: Deps{Log: logging.Discard(), Port: new(portLog)}, port: new(portLog)}
	b.opts.Store(o)
	b.env.Store(hooks.NewEnv())
	h := newBareHub(b, o)
	add := func(from string) *instance {
		i, err := h.newInstance(newcomer{link: &near{}, from: transport.Peer{Addr: netip.MustParseAddrPort(from)}}, now)
		if err != nil {
			t.Fatal(err)
		}
		if !h.table.add(i) {
			t.Fatal("no room in the table")
		}
		return i
	}
	first := add("192.0.2.1:1")
	first.session = claimed(t, now) // waits for a verdict
	second := add("192.0.2.1:2")
	for n := range maxHalfOpen(o.MaxClients) - 3 {
		add(fmt.Sprintf("192.0.2.2:%d", 10+n))
	}
	add("198.51.100.1:1")
	room := func(from string, now time.Time) bool {
		return h.roomToTry(newcomer{link: &near{}, from: transport.Peer{Addr: netip.MustParseAddrPort(from)}}, now)
	}
	if room("192.0.2.9:1", now) {
		t.Error("the network that holds the most places got one more")
	}
	if !room("203.0.113.1:1", now) {
		t.Error("another network got none")
	}
	if first.stage == session.Gone || second.stage != session.Gone {
		t.Error("the oldest that does not wait for a verdict should have gone")
	}
	add("203.0.113.1:1")
	if !room("192.0.2.9:1", now.Add(tryTime)) {
		t.Error("the crowded network got none in the place of a handshake that stands still")
	}
}

// A server that ends, whatever for, answers no opening packet from before its first client goes: the answer would tie a client to a session
// that nobody serves.
func TestNoAnswerDuringTheEnd(t *testing.T) {
	h, add := streamHub(t)
	i := add(newAir().listen(), transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:4000")})
	h.publish()
	if h.gate.Load().leaving {
		t.Fatal("the server leaves already")
	}
	h.shutdown()
	if i.stage != session.Gone || !h.gate.Load().leaving {
		t.Errorf("stage %v, leaving %v", i.stage, h.gate.Load().leaving)
	}
}

// passing is a TCP connection whose end frees its place.
type passing struct {
	stuck
	streams *streams
}

func (p *passing) Close() error {
	p.streams.remove(p)
	return nil
}

// However many TCP connections one network holds, silent or with a handshake that stands still, others find a place: fewer connections
// than handshakes may fit into the process.
func TestHalfOpenStreamsAreShared(t *testing.T) {
	const places = 32
	for _, begin := range []bool{false, true} {
		t.Run(map[bool]string{false: "silent", true: "with a handshake"}[begin], func(t *testing.T) {
			h, add := streamHub(t)
			h.set.MaxClients = 1024
			h.table.grow(slotsFor(h.set.MaxClients))
			h.streams.limits.own = places
			connect := func(from string, begin bool) *passing {
				peer := transport.Peer{Addr: netip.MustParseAddrPort(from)}
				l := &passing{stuck: stuck{from: peer}, streams: h.streams}
				if h.streams.add(l) && begin && h.roomToTry(newcomer{link: l, from: peer}, time.Now()) {
					add(l, peer)
				}
				h.reaper.Wait()
				return l
			}
			stays := func(l *passing) bool {
				h.streams.mu.Lock()
				defer h.streams.mu.Unlock()
				return h.streams.open[l] != nil
			}
			crowd := func(first int) {
				for n := range 4 * places {
					connect(fmt.Sprintf("192.0.2.%d:%d", 1+n%8, first+n), begin)
				}
			}
			crowd(1000)
			for n := range 3 {
				slow := connect(fmt.Sprintf("198.51.100.1:%d", 1+n), false)
				crowd(2000 + 1000*n)
				if !stays(slow) {
					t.Fatal("a connection of another network lost its place before its first packet")
				}
				if !h.roomToTry(newcomer{link: slow, from: slow.from}, time.Now()) {
					t.Fatal("a client of another network has no place for its handshake")
				}
				add(slow, slow.from)
				crowd(10000 + 1000*n)
				if !stays(slow) {
					t.Fatal("a handshake of another network lost its place")
				}
			}
			h.streams.mu.Lock()
			defer h.streams.mu.Unlock()
			if n := len(h.streams.open); n > places {
				t.Errorf("there are %d connections, and place for %d", n, places)
			}
		})
	}
}

// A TCP connection that says nothing takes no buffers for packets.
func TestSilentStreamsAreCheap(t *testing.T) {
	const silent, most = 100, 32 << 10 // bytes each; a buffer for packets has 64 KB
	r := newRig(t, "tcp4-server")
	taken := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := taken()
	for range silent {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	r.await("all connections are accepted", func() bool {
		n := 0
		r.onHub(func(h *hub) {
			h.streams.mu.Lock()
			defer h.streams.mu.Unlock()
			n = len(h.streams.open)
		})
		return n == silent
	})
	if each := (int64(taken()) - int64(before)) / silent; each > most {
		t.Errorf("a silent connection takes %d bytes, at most %d should be", each, most)
	}
}

// Resets with forged addresses, however many, use up what all may be answered. A client whose network was in before gets in all the same.
func TestForgedResetsKeepNoRegularOut(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		r := newRig(t, inMemory, "--connect-freq-initial", "2", "10")
		c, err := r.dial("198.51.100.1", ctrlwrap.NewPlain())
		if err != nil {
			t.Fatal(err)
		}
		if !c.up(patience) {
			t.Fatalf("not up: %v", c.failed)
		}
		c.close()
		flood := func() {
			for n := range 200 {
				sid := wire.SessionID{1, byte(n)}
				body := wire.ControlBody{}
				select {
				case r.air.in <- datagram{netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n), 1, 1}), 4000), body.Append(append([]byte{wire.Header(wire.OpControlHardResetClientV2, 0)}, sid[:]...), wire.OpControlHardResetClientV2)}:
				default:
				}
			}
		}
		in := func(host string) bool {
			c, err := r.dial(host, ctrlwrap.NewPlain())
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			for end := time.Now().Add(patience); time.Now().Before(end); {
				flood()
				if c.play(20*time.Millisecond, func() bool { return c.told("PUSH_REPLY") }) {
					return true
				}
			}
			return false
		}
		if !in("198.51.100.9") {
			t.Error("a client whose network was in before is kept out")
		}
	})
}
