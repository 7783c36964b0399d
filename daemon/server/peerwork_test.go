package server

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
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
		}, most: 2 * stations, later: 2 * stations},
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
