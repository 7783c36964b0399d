package control_test

import (
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Anything at all arrives at a server without wrapping, before, during and after its handshake: it must not
// crash, answer with floods, or keep more than it has window for.
func FuzzInput(f *testing.F) {
	identities(f, pki.ECDSA)
	reset := wire.ControlBody{}
	f.Add([]byte{byte(len("x"))}, uint8(0))
	f.Add(append([]byte{wire.Header(wire.OpControlHardResetClientV2, 0), 1, 2, 3, 4, 5, 6, 7, 8}, reset.Append(nil, wire.OpControlHardResetClientV2)...), uint8(0))
	f.Add(append([]byte{wire.Header(wire.OpControlSoftResetV1, 1), 1, 2, 3, 4, 5, 6, 7, 8}, reset.Append(nil, wire.OpControlSoftResetV1)...), uint8(2))
	f.Add([]byte{wire.Header(wire.OpControlV1, 0), 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 1, 22, 3, 1, 0, 5, 1, 0, 0, 1, 0}, uint8(1))
	f.Fuzz(func(t *testing.T, pkt []byte, stage uint8) {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, settings{weather: daemontest.Weather{Delay: time.Millisecond}})
			switch stage % 3 {
			case 1:
				p.until(time.Second, func() bool { return len(p.server.log) > 0 })
			case 2:
				p.connect()
			}
			peer := p.client.s.Own()
			if len(pkt) >= 9 && stage >= 128 {
				copy(pkt[1:9], peer[:]) // as the right client
			}
			sent := len(p.server.ops)
			for range 3 {
				_ = p.server.s.Input(pkt, p.now)
				p.server.s.Step(p.now)
				synctest.Wait()
				p.server.s.Step(p.now)
				p.server.drain(p.now)
			}
			if n := len(p.server.ops) - sent; n > 24 {
				t.Errorf("%d packets in answer to three", n)
			}
		})
	})
}

// A peer that floods TLS while a hook of the handshake blocks is stopped by the window.
func TestFloodDuringHook(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := newPair(t, settings{weather: daemontest.Weather{Delay: time.Millisecond}, server: func(c *control.Config) {
			verify := c.TLS.VerifyPeerCertificate
			c.TLS.VerifyPeerCertificate = blocking(verify, release)
		}})
		p.until(time.Second, func() bool { return len(p.server.ops) >= 2 && len(p.client.log) >= 3 })
		p.until(100*time.Millisecond, func() bool { return false })
		junk := make([]byte, 1100)
		accepted := 0
		var acked uint32
		for id := uint32(3); id < 1000; id++ {
			body := wire.ControlBody{MsgID: id, Payload: junk}
			pkt := append([]byte{wire.Header(wire.OpControlV1, 0)}, sid(p.client.s.Own())...)
			p.now = p.now.Add(30 * time.Millisecond) // acks wait 20 ms for a flight
			if err := p.server.s.Input(body.Append(pkt, wire.OpControlV1), p.now); err != nil {
				t.Fatal(err)
			}
			p.server.s.Step(p.now)
			for _, out := range p.server.s.Output() {
				var b wire.ControlBody
				op, _, _, rest, err := wire.ParseControlHeader(out)
				if err != nil || b.Parse(rest, op) != nil {
					t.Fatal("unreadable answer")
				}
				for _, a := range b.Acks {
					if a > acked {
						acked = a
						accepted++
					}
				}
			}
		}
		if accepted < 10 || accepted > 100 {
			t.Errorf("the server took %d messages of a stranger, want some 70", accepted)
		}
		close(release)
	})
}

func sid(id wire.SessionID) []byte { return id[:] }

// blocking makes a certificate check wait.
func blocking(check func([][]byte, [][]*x509.Certificate) error, release <-chan struct{}) func([][]byte, [][]*x509.Certificate) error {
	return func(raw [][]byte, chains [][]*x509.Certificate) error {
		<-release
		return check(raw, chains)
	}
}
