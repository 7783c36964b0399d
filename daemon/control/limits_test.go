package control_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Packets that someone with the shared tls-crypt key makes for a session are dropped and change nothing, however late the
// check that finds them wanting.
func TestForgedPacketsChangeNothing(t *testing.T) {
	identities(t, pki.ECDSA)
	for _, tt := range []struct {
		name  string
		op    wire.Opcode
		keyID uint8
		other bool // session id of nobody
		body  wire.ControlBody
		cut   bool
		want  error
	}{
		{name: "another session", op: wire.OpAckV1, other: true, want: control.ErrSession},
		{name: "acknowledgements of another session", op: wire.OpAckV1, body: wire.ControlBody{Acks: []uint32{0}, PeerSession: wire.SessionID{9}}, want: control.ErrEcho},
		{name: "a reset in the middle", op: wire.OpControlHardResetClientV2, body: wire.ControlBody{MsgID: 7}, want: control.ErrMalformed},
		{name: "a body that ends early", op: wire.OpControlV1, cut: true, want: wire.ErrShort},
		{name: "a key id of nobody", op: wire.OpControlV1, keyID: 5, want: new(control.KeyIDError)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, settings{wrap: "tls-crypt", weather: daemontest.Weather{Delay: 10 * time.Millisecond}})
				p.connect()
				sid := p.client.s.Own()
				if tt.other {
					sid = wire.SessionID{1, 2, 3}
				}
				body := tt.body.Append(nil, tt.op)
				if tt.cut {
					body = []byte{3, 0}
				}
				forger := ctrlwrap.NewTLSCrypt(p.client.cfg.StaticKey, keys.Client)
				pkt, err := forger.Wrap(nil, tt.op, tt.keyID, sid, body, p.now.Add(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				got := p.server.s.Input(pkt, p.now)
				var keyID *control.KeyIDError
				if !errors.Is(got, tt.want) && !(errors.As(tt.want, &keyID) && errors.As(got, &keyID)) {
					t.Fatalf("got %v, want %v", got, tt.want)
				}
				if err := p.client.s.SendText("PUSH_REQUEST"); err != nil {
					t.Fatal(err)
				}
				if !p.until(10*time.Second, func() bool { return len(p.server.texts) == 1 }) {
					t.Errorf("a text after a forged packet does not come through: %v", p.server.inErr)
				}
			})
		})
	}
}

// Texts for a peer that acknowledges nothing wait up to a limit, and flow again when it is back.
func TestTextsWaitUpToALimit(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{wrap: "plain", weather: daemontest.Weather{Delay: 10 * time.Millisecond}})
		p.connect()
		text := strings.Repeat("x", 1000)
		sent, err := 0, error(nil)
		for ; sent < 10_000 && err == nil; sent++ {
			err = p.server.s.SendText(text)
			p.server.s.Step(p.now)
		}
		if !errors.Is(err, control.ErrBacklog) || sent < 100 || sent > 400 {
			t.Fatalf("%d texts of a kilobyte were taken, then %v", sent, err)
		}
		if !p.until(time.Minute, func() bool { return len(p.client.texts) == sent-1 }) {
			t.Fatalf("%d of %d texts came through", len(p.client.texts), sent-1)
		}
		if err := p.server.s.SendText("again"); err != nil {
			t.Errorf("after all was acknowledged: %v", err)
		}
	})
}

// A panic in the TLS of one peer is that peer's failure.
func TestPanicInAHandshakeFailsIt(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{wrap: "plain", weather: daemontest.Weather{Delay: 10 * time.Millisecond}, server: func(c *control.Config) {
			c.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("broken hook") }
		}})
		if !p.until(time.Minute, func() bool { return len(p.server.failed) > 0 }) {
			t.Fatal("no failure")
		}
		var panicked *control.PanicError
		if err := p.server.failed[0].Err; !errors.As(err, &panicked) || !strings.Contains(string(panicked.Stack), "limits_test") {
			t.Errorf("got %v", err)
		}
	})
}
