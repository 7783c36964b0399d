package server

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// The data plane asks the hub for what is not its own work: scripts, log lines, answers. However many packets a client sends, it
// asks for a bounded number of them, and more come with time only.
func TestWorkOfOnePeersPackets(t *testing.T) {
	const stations = 4
	for _, tt := range []struct {
		name   string
		packet func(in *inbound, n int, now time.Time, a, b *dataPath)
		most   int // hub calls at once, of both clients
		later  int // and in ten more seconds
	}{
		{name: "one station behind two clients in turn", packet: func(in *inbound, n int, now time.Time, a, b *dataPath) {
			pkt := append(make([]byte, tun.Offset), frame(0x08, 0x00)...)
			if n%2 == 1 {
				a = b
			}
			in.routeFrame(a, pkt, pkt[tun.Offset:], now)
		}, most: 1 + 2*stations, later: 2 * stations},
		{name: "another station each time", packet: func(in *inbound, n int, now time.Time, a, _ *dataPath) {
			pkt := append(make([]byte, tun.Offset), frame(0x08, 0x00)...)
			pkt[tun.Offset+10], pkt[tun.Offset+11] = byte(n>>8), byte(n)
			in.routeFrame(a, pkt, pkt[tun.Offset:], now)
		}, most: stations, later: 0},
		{name: "a station that a script refuses", packet: func(in *inbound, _ int, now time.Time, a, _ *dataPath) {
			pkt := append(make([]byte, tun.Offset), frame(0x08, 0x00)...)
			in.routeFrame(a, pkt, pkt[tun.Offset:], now)
			in.stations.Forget(func(*station) bool { return true })
		}, most: stations, later: stations},
		{name: "questions", packet: func(in *inbound, _ int, _ time.Time, a, _ *dataPath) {
			in.occ(a, []byte{0})
		}, most: peerQuestions, later: -1},
		{name: "moves", packet: func(in *inbound, n int, _ time.Time, a, _ *dataPath) {
			in.floated(a, transport.Peer{Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(1+n))})
		}, most: peerQuestions, later: -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now()
			logged := new(daemontest.Log)
			logger := logging.New(logging.Config{Stdout: logged, Stderr: logged, Verb: 3})
			p := &plane{
				tap: true, stations: new(forward.Stations[*dataPath]), total: new(engine.Totals),
				aside: &aside{base: &base{deps: Deps{Log: logger}}, inbox: newInbox(), limiter: newLimiter()},
			}
			client := func() *dataPath {
				d := &dataPath{maxStations: stations, learns: ratelimit.New(stations, stations*time.Second), asks: ratelimit.New(peerQuestions, peerQuestions*time.Second)}
				d.peer.Store(&transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1")})
				return d
			}
			in, a, b := &inbound{plane: p}, client(), client()
			flood := func(now time.Time) int {
				before := len(p.calls)
				for n := range 500 {
					tt.packet(in, n, now, a, b)
				}
				return len(p.calls) - before
			}
			if got := flood(now); got == 0 || got > tt.most {
				t.Errorf("500 packets ask the hub %d times, want 1 to %d", got, tt.most)
			}
			if tt.later < 0 {
				return // by the clock of the process
			}
			if got := flood(now.Add(10 * time.Second)); got > tt.later {
				t.Errorf("ten seconds later they ask it %d times, want %d at most", got, tt.later)
			}
			if n := strings.Count(logged.String(), "faster than one a second"); n > 2 {
				t.Errorf("the log says it %d times of two clients", n)
			}
		})
	}
}

// Control packets at the address of one client, however many, leave room in the hub's queue for those of others, and for its own again
// once the hub has taken some.
func TestPacketsAtOneAddressLeaveRoom(t *testing.T) {
	in := newInbox()
	crowd := make([]dataPath, 8)
	flood := func(to *dataPath) (taken int) {
		before := len(in.packets)
		for range 2 * packetQueue {
			in.toHub(controlPacket{to: to})
		}
		return len(in.packets) - before
	}
	for n := range crowd {
		if got := flood(&crowd[n]); got != packetShare {
			t.Errorf("of a flood at address %d %d packets wait, want %d", n, got, packetShare)
		}
	}
	for len(in.packets) > 0 {
		p := <-in.packets
		p.to.queued.Add(-1)
	}
	if got := flood(&crowd[0]); got != packetShare {
		t.Errorf("once the hub has taken them %d wait, want %d", got, packetShare)
	}
}

// Whoever writes the address of another client's station on frames cannot keep that client's own frames out, nor use up its share of
// stations that may come.
func TestStationsComeBack(t *testing.T) {
	const stations = 4
	for _, tt := range []struct {
		name      string
		attackers int
	}{{"one spoofs", 1}, {"five spoof", 5}} {
		t.Run(tt.name, func(t *testing.T) {
			p := &plane{
				tap: true, stations: new(forward.Stations[*dataPath]), total: new(engine.Totals),
				aside: &aside{base: &base{deps: Deps{Log: logging.Discard()}}, inbox: newInbox(), limiter: newLimiter()},
			}
			client := func() *dataPath {
				d := &dataPath{maxStations: stations, learns: ratelimit.New(stations, stations*time.Second)}
				d.peer.Store(&transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1")})
				return d
			}
			in, victim := &inbound{plane: p}, client()
			attackers := make([]*dataPath, tt.attackers)
			for n := range attackers {
				attackers[n] = client()
			}
			send := func(d *dataPath, last byte, now time.Time) bool {
				pkt := append(make([]byte, tun.Offset), frame(0x08, 0x00)...)
				pkt[tun.Offset+11] = last
				in.device = in.device[:0]
				in.routeFrame(d, pkt, pkt[tun.Offset:], now)
				return len(in.device) > 0
			}
			now := time.Now()
			if !send(victim, 1, now) {
				t.Fatal("the first frame is dropped")
			}
			calls := 0
			for second := range 60 {
				for range 50 {
					for _, a := range attackers {
						send(a, 1, now)
					}
					if !send(victim, 1, now) {
						t.Fatalf("after %d seconds the victim's frames are dropped", second)
					}
				}
				calls += len(p.calls)
				for len(p.calls) > 0 {
					<-p.calls
				}
				now = now.Add(time.Second)
			}
			if most := 1 + 2*tt.attackers*(stations+60); calls > most {
				t.Errorf("the hub was told %d times, want %d at most", calls, most)
			}
			if !send(victim, 2, now) {
				t.Error("a new station of the victim is refused")
			}
		})
	}
}

// Data packets that strangers write with a client's peer-id take the lines of the strangers' network, not of the client's.
func TestLinesAboutForgedData(t *testing.T) {
	text := new(daemontest.Log)
	p := &plane{aside: &aside{base: &base{deps: Deps{Log: logging.New(logging.Config{Stdout: text, Stderr: text, Verb: 4})}}, limiter: newLimiter()}}
	victim, stranger := new(dataPath), transport.Peer{Addr: netip.MustParseAddrPort("203.0.113.9:9")}
	victim.peer.Store(&transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1")})
	for range 1000 {
		p.bad(victim, stranger, data.ErrAuth)
	}
	p.badSource(victim, netip.MustParseAddr("10.9.9.9"))
	if !strings.Contains(text.String(), "bad source address from client") {
		t.Error("the line about the client itself was left out")
	}
}

// Resets that are forged at the address of a client use up its own share of connect-freq, and not that of newcomers.
func TestForgedResetsTakeFromNobodyElse(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		r := newRig(t, inMemory, "--connect-freq", "2", "3600")
		c, err := r.dial("", ctrlwrap.NewPlain())
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if !c.up(10 * time.Second) {
			t.Fatal("the client is not let in")
		}
		forged := func() {
			if err := c.begin(r.cert, ctrlwrap.NewPlain(), 0); err != nil {
				t.Fatal(err)
			}
			c.play(20*time.Millisecond, func() bool { return false })
			c.session.Close()
		}
		r.await("the share of the address is used up", func() bool {
			forged()
			return strings.Contains(r.log.String(), "--connect-freq")
		})
		other, err := r.dial("", ctrlwrap.NewPlain())
		if err != nil {
			t.Fatal(err)
		}
		defer other.close()
		if !other.up(10 * time.Second) {
			t.Errorf("another client is not let in: %v\n%s", other.failed, r.log.String())
		}
	})
}
