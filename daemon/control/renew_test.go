package control_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Ten renewals in a row: by the client, by the server, by both at once, in bad weather, with and without
// dynamic tls-crypt. Key ids go 1..7 in a circle.
func TestRenewals(t *testing.T) {
	for _, wrap := range []string{"plain", "tls-auth", "tls-crypt", "tls-crypt-v2"} {
		for _, dynamic := range []bool{false, true} {
			for _, who := range []string{"client", "server", "both"} {
				t.Run(fmt.Sprintf("%s/dynamic=%v/%s", wrap, dynamic, who), func(t *testing.T) {
					identities(t, pki.ECDSA)
					synctest.Test(t, func(t *testing.T) {
						p := newPair(t, settings{wrap: wrap, weather: storm, cookie: dynamic, ekm: dynamic, seed: uint64(len(wrap + who))})
						p.connect()
						if dynamic {
							for _, d := range []*side{p.client, p.server} {
								if err := d.s.EnableDynamicTLSCrypt(); err != nil {
									t.Fatal(err)
								}
							}
						}
						id := uint8(0)
						for range 10 {
							id = wire.NextKeyID(id)
							p.until(10*time.Minute, func() bool { return false })
							if who != "server" {
								if err := p.client.s.Renegotiate(p.now); err != nil {
									t.Fatalf("client: %v", err)
								}
							}
							if who != "client" {
								if err := p.server.s.Renegotiate(p.now); err != nil {
									t.Fatalf("server: %v", err)
								}
							}
							if err := p.client.s.SendText(fmt.Sprintf("text %d", id)); err != nil {
								t.Fatal(err)
							}
							if !p.until(15*time.Minute, p.bothActive(id)) {
								t.Fatalf("renewal to key %d:\nclient %v\nserver %v", id, p.client.log, p.server.log)
							}
							p.sameBlocks(id)
						}
						p.until(time.Hour, func() bool { return len(p.server.texts) == 10 })
						if n := len(p.server.texts); n != 10 {
							t.Errorf("%d of 10 texts sent during renewals arrived", n)
						}
						if len(p.client.failed)+len(p.server.failed) > 0 {
							t.Errorf("failures: client %v, server %v", p.client.failed, p.server.failed)
						}
					})
				})
			}
		}
	}
}

// The lame duck lives until the tran-window is over, counted from the start of its renewal, or until the
// next renewal.
func TestLameDuck(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		short := func(c *control.Config) { c.TranWindow = 100 * time.Second }
		p := newPair(t, settings{wrap: "tls-crypt", weather: daemontest.Weather{Delay: time.Millisecond}, client: short, server: short})
		p.connect()
		begin := p.now
		if err := p.client.s.Renegotiate(p.now); err != nil {
			t.Fatal(err)
		}
		if err := p.client.s.Renegotiate(p.now); !errors.Is(err, control.ErrBusy) {
			t.Errorf("second renewal: %v, want ErrBusy", err)
		}
		if !p.until(time.Minute, p.bothActive(1)) {
			t.Fatal("no renewal")
		}
		gone := func() bool { return p.client.log[len(p.client.log)-1] == "expired 0" }
		if !p.until(time.Hour, gone) {
			t.Fatal("lame duck never expired")
		}
		if got := p.now.Sub(begin); got != 100*time.Second {
			t.Errorf("lame duck lived %v after the renewal began, want the tran-window of 100 s", got)
		}
		for id := uint8(2); id <= 3; id++ {
			if err := p.server.s.Renegotiate(p.now); err != nil {
				t.Fatal(err)
			}
			if !p.until(time.Minute, p.bothActive(id)) {
				t.Fatal("no renewal")
			}
		}
		if last := p.client.log[len(p.client.log)-6:]; last[0] != "expired 1" {
			t.Errorf("the second renewal does not begin with the end of the older lame duck: %v", last)
		}
	})
}

// RenegAfter renews by itself, and not before the key is in use.
func TestRenewalByAge(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{
			wrap: "tls-crypt", weather: daemontest.Weather{Delay: time.Millisecond},
			client: func(c *control.Config) { c.RenegAfter = 30 * time.Minute },
			server: func(c *control.Config) { c.RenegAfter = 30 * time.Minute },
		})
		p.connect()
		for id := uint8(1); id <= 3; id++ {
			before := p.now
			if !p.until(40*time.Minute, p.bothActive(id)) {
				t.Fatalf("key %d did not come: %v", id, p.client.log)
			}
			if d := p.now.Sub(before); d < 30*time.Minute || d > 31*time.Minute {
				t.Errorf("key %d came after %v", id, d)
			}
		}
	})
}

// A renewal that fails leaves the key before it in charge, texts included, and the next one gets the next
// key id on both ends.
func TestFailedRenewal(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{wrap: "tls-crypt", weather: daemontest.Weather{Delay: time.Millisecond}})
		p.connect()
		p.until(2*time.Second, func() bool { return false }) // renewals right after the start are refused
		// The reset gets through, and then nothing for a minute.
		if err := p.client.s.Renegotiate(p.now); err != nil {
			t.Fatal(err)
		}
		p.until(500*time.Microsecond, func() bool { return len(p.server.in.Next().String()) == 0 })
		p.now = p.now.Add(time.Millisecond)
		p.server.receive(p.now)
		p.client.in.Loss, p.server.in.Loss = 1, 1
		if err := p.client.s.SendText("stuck"); err != nil {
			t.Fatal(err)
		}
		p.until(61*time.Second, func() bool { return len(p.client.failed)+len(p.server.failed) == 2 })
		for _, d := range []*side{p.client, p.server} {
			if len(d.failed) != 1 || d.failed[0].Dead || d.failed[0].KeyID != 1 || !errors.Is(d.failed[0].Err, control.ErrHandWindow) {
				t.Fatalf("%s: failures %+v, want one of key 1 by hand-window, not dead", d.name, d.failed)
			}
		}
		p.client.in.Loss, p.server.in.Loss = 0, 0
		if !p.until(time.Minute, func() bool { return len(p.server.texts) == 1 }) {
			t.Error("the text does not come through the old key")
		}
		if err := p.server.s.Renegotiate(p.now); err != nil {
			t.Fatal(err)
		}
		if !p.until(time.Minute, p.bothActive(2)) {
			t.Errorf("no renewal after the failed one:\nclient %v\nserver %v", p.client.log, p.server.log)
		}
	})
}

// Renewals that a peer asks for in a row are a second apart: it repeats what came too early.
func TestRenewalsKeepApart(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{wrap: "tls-crypt", weather: daemontest.Weather{Delay: time.Millisecond}})
		p.connect()
		begin := p.now
		for id := uint8(1); id <= 5; id++ {
			if err := p.client.s.Renegotiate(p.now); err != nil {
				t.Fatal(err)
			}
			if !p.until(time.Minute, p.bothActive(id)) {
				t.Fatalf("renewal %d does not come: %v", id, p.server.log)
			}
		}
		if d := p.now.Sub(begin); d < 5*time.Second || d > 15*time.Second {
			t.Errorf("five renewals took %v", d)
		}
	})
}

// A peer's soft reset before our key is in use is refused: the peer sends it again.
func TestEarlySoftReset(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{wrap: "tls-crypt", weather: daemontest.Weather{Delay: time.Millisecond}})
		p.server.noKeys = true
		p.connect()
		if err := p.client.s.Renegotiate(p.now); err != nil {
			t.Fatal(err)
		}
		p.until(5*time.Second, func() bool { return false })
		if p.server.inErr[control.ErrEarly.Error()] == 0 {
			t.Errorf("server did not refuse: %v", p.server.inErr)
		}
		if err := p.server.s.Renegotiate(p.now); !errors.Is(err, control.ErrNotUp) {
			t.Errorf("own renewal before the key is in use: %v, want ErrNotUp", err)
		}
		if _, err := p.server.s.KeyBlock(0, true); err != nil {
			t.Fatal(err)
		}
		p.server.noKeys = false
		if !p.until(time.Minute, p.bothActive(1)) {
			t.Errorf("renewal does not come after all: %v", p.server.log)
		}
	})
}

// A key is good for a tran-window after the first renewal that should have replaced it, however many more are tried: a peer
// whose renewals fail, because its certificate is revoked or it withholds its acknowledgements, does not stay for ever.
func TestFailedRenewalsEnd(t *testing.T) {
	identities(t, pki.ECDSA)
	const hand, tran, reneg = 10 * time.Second, 100 * time.Second, 300 * time.Second
	deaf := func(p *pair) { p.client.in.Loss = 1 }
	for _, tt := range []struct {
		name    string
		reneg   time.Duration // of the server
		revoked bool          // the peer's certificate, for renewals
		spoil   func(p *pair) // renewals from now on
		again   func(p *pair) // called every second
	}{
		{name: "the peer does not hear", reneg: reneg, spoil: deaf},
		{name: "its certificate is refused", reneg: reneg, revoked: true},
		{name: "it asks for renewals and ends none", spoil: deaf, again: func(p *pair) { _ = p.client.s.Renegotiate(p.now) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, settings{
					wrap: "tls-crypt", weather: daemontest.Weather{Delay: time.Millisecond},
					client: func(c *control.Config) { c.HandWindow, c.TranWindow = hand, 24*time.Hour },
					server: func(c *control.Config) {
						c.HandWindow, c.TranWindow, c.RenegAfter = hand, tran, tt.reneg
						if tt.revoked {
							conf := c.TLS.Clone()
							conf.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return errors.New("revoked") }
							c.Renew = func() *tls.Config { return conf }
						}
					},
				})
				p.connect()
				p.until(2*time.Second, func() bool { return false })
				if tt.spoil != nil {
					tt.spoil(p)
				}
				begin := p.now
				for !p.until(time.Second, p.server.s.Dead) {
					if p.now.Sub(begin) > time.Hour {
						t.Fatalf("the session goes on after %d failed renewals: %v", len(p.server.failed), p.server.log[max(0, len(p.server.log)-10):])
					}
					if tt.again != nil {
						tt.again(p)
					}
				}
				if d := p.now.Sub(begin); d < tran-hand || d > tt.reneg+tran+2*hand {
					t.Errorf("the session ended after %v", d)
				}
			})
		})
	}
}
