package control_test

import (
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Nobody answers: the reset is sent at 0, 2, 6, 14 and 30 s, and the hand-window ends it.
func TestHandWindow(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{
			weather: daemontest.Weather{Loss: 1},
			client:  func(c *control.Config) { c.HandWindow = time.Minute },
		})
		begin := p.now
		p.until(2*time.Minute, func() bool { return len(p.client.failed) > 0 })
		if len(p.client.failed) != 1 || !p.client.failed[0].Dead || !errors.Is(p.client.failed[0].Err, control.ErrHandWindow) {
			t.Fatalf("failures %+v", p.client.failed)
		}
		if d := p.now.Sub(begin); d != time.Minute {
			t.Errorf("failed after %v", d)
		}
		if n := len(p.client.ops); n != 5 {
			t.Errorf("reset sent %d times in a minute, want 5", n)
		}
		if err := p.client.s.SendText("x"); !errors.Is(err, control.ErrClosed) {
			t.Errorf("SendText on a dead session: %v", err)
		}
		if d := p.client.s.Step(p.now); !d.IsZero() {
			t.Errorf("dead session wants a call at %v", d)
		}
	})
}

// A refused certificate: both ends fail, the refused one by the alert, at once and not by timeout.
func TestRefusedCertificate(t *testing.T) {
	refuse := func(c *control.Config) {
		c.TLS.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return errors.New("not you") }
	}
	for _, tt := range []struct {
		name           string
		client, server func(*control.Config)
	}{
		{"by client", refuse, nil},
		{"by server", nil, refuse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			identities(t, pki.ECDSA)
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, settings{wrap: "tls-crypt", weather: daemontest.Weather{Delay: time.Millisecond}, client: tt.client, server: tt.server})
				p.until(10*time.Second, func() bool { return len(p.client.failed) > 0 && len(p.server.failed) > 0 })
				for _, d := range []*side{p.client, p.server} {
					var te *control.TLSError
					if len(d.failed) != 1 || !d.failed[0].Dead || !errors.As(d.failed[0].Err, &te) {
						t.Errorf("%s: failures %+v, want a TLS error", d.name, d.failed)
					}
				}
				if slices.Contains(p.server.log, "active 0") {
					t.Error("server went active")
				}
			})
		})
	}
}

// Closing during a handshake ends its goroutine; goleak watches at the end of all tests.
func TestCloseDuringHandshake(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{weather: daemontest.Weather{Delay: time.Millisecond}})
		p.until(time.Second, func() bool { return slices.Contains(p.client.ops, wire.OpControlV1) })
		p.close()
		p.close()
		if err := p.client.s.Input([]byte{0x28, 1, 1, 1, 1, 1, 1, 1, 1, 0}, p.now); !errors.Is(err, control.ErrClosed) {
			t.Errorf("Input after Close: %v", err)
		}
	})
}

// What a session refuses, packet by packet, as a client that waits for its server.
func TestRefusedPackets(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{})
		own := p.client.s.Own()
		server := wire.SessionID{1, 2, 3, 4, 5, 6, 7, 8}
		body := func(b wire.ControlBody, op wire.Opcode) []byte { return b.Append(nil, op) }
		pkt := func(op wire.Opcode, keyID uint8, sid wire.SessionID, b []byte) []byte {
			out, err := ctrlwrap.NewPlain().Wrap(nil, op, keyID, sid, b, p.now)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		reset := wire.OpControlHardResetServerV2
		good := wire.ControlBody{Acks: []uint32{0}, PeerSession: own}
		for _, tt := range []struct {
			name string
			pkt  []byte
			want error
		}{
			{"empty", nil, wire.ErrShort},
			{"zero session id", pkt(reset, 0, wire.SessionID{}, body(good, reset)), wire.ErrNoSession},
			{"data", []byte{0x48, 0, 0, 0, 1, 2, 3, 4, 5, 6}, wire.ErrChannel},
			{"a client's reset", pkt(wire.OpControlHardResetClientV2, 0, server, body(good, wire.OpControlHardResetClientV2)), control.ErrDirection},
			{"ack before the reset", pkt(wire.OpAckV1, 0, server, body(good, wire.OpAckV1)), control.ErrFirst},
			{"reset with key id", pkt(reset, 1, server, body(good, reset)), control.ErrFirst},
			{"reset without ack", pkt(reset, 0, server, body(wire.ControlBody{}, reset)), control.ErrFirst},
			{"reset for another", pkt(reset, 0, server, body(wire.ControlBody{Acks: []uint32{0}, PeerSession: server}, reset)), control.ErrEcho},
			{"reset with message id", pkt(reset, 0, server, body(wire.ControlBody{Acks: []uint32{0}, PeerSession: own, MsgID: 1}, reset)), control.ErrMalformed},
			{"bad early negotiation", pkt(reset, 0, server, body(wire.ControlBody{Acks: []uint32{0}, PeerSession: own, Payload: []byte{0, 1, 0}}, reset)), keys.ErrEarly},
			{"good", pkt(reset, 0, server, body(good, reset)), nil},
			{"again", pkt(reset, 0, server, body(good, reset)), nil},
			{"another server", pkt(reset, 0, wire.SessionID{9}, body(good, reset)), control.ErrSession},
			{"soft reset too early", pkt(wire.OpControlSoftResetV1, 1, server, body(wire.ControlBody{}, wire.OpControlSoftResetV1)), control.ErrEarly},
		} {
			if err := p.client.s.Input(tt.pkt, p.now); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
		var out *control.KeyIDError
		if err := p.client.s.Input(pkt(wire.OpControlV1, 3, server, body(wire.ControlBody{}, wire.OpControlV1)), p.now); !errors.As(err, &out) || out.KeyID != 3 {
			t.Errorf("unknown key id: %v", err)
		}
	})
}
