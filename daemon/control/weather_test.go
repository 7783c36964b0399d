package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// storm is worse than any network anybody would use.
var storm = daemontest.Weather{
	Loss: 0.2, Duplicate: 0.2, Reorder: 0.3, Delay: 20 * time.Millisecond, ReorderBy: 300 * time.Millisecond,
}

func TestHandshakeInBadWeather(t *testing.T) {
	for _, wrap := range []string{"plain", "tls-auth", "tls-crypt", "tls-crypt-v2"} {
		for seed := range uint64(12) {
			t.Run(fmt.Sprintf("%s/%d", wrap, seed), func(t *testing.T) {
				identities(t, pki.RSA)
				synctest.Test(t, func(t *testing.T) {
					p := newPair(t, settings{wrap: wrap, cookie: seed%2 == 0, weather: storm, seed: seed, key: pki.RSA, ekm: seed%3 == 0})
					p.connect()
					p.sameBlocks(0)
					// Texts in both directions, in order, all of them.
					var want []string
					for i := range 30 {
						text := fmt.Sprintf("INFO,%d %s", i, strings.Repeat("x", i*30))
						want = append(want, text)
						for _, d := range []*side{p.client, p.server} {
							if err := d.s.SendText(text); err != nil {
								t.Fatal(err)
							}
						}
					}
					p.until(time.Hour, func() bool {
						return len(p.client.texts) == len(want) && len(p.server.texts) == len(want)
					})
					for _, d := range []*side{p.client, p.server} {
						if diff := cmp.Diff(want, d.texts); diff != "" {
							t.Errorf("%s heard (-want +got):\n%s", d.name, diff)
						}
					}
				})
			})
		}
	}
}

// Mangled packets are dropped by every wrapping that authenticates, and nothing else happens.
func TestMangledPackets(t *testing.T) {
	for _, wrap := range []string{"tls-auth", "tls-crypt", "tls-crypt-v2"} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s/%d", wrap, seed), func(t *testing.T) {
				identities(t, pki.ECDSA)
				synctest.Test(t, func(t *testing.T) {
					w := storm
					w.Mangle = 0.3
					p := newPair(t, settings{wrap: wrap, weather: w, seed: seed, cookie: seed%2 == 0, ekm: true})
					p.connect()
					p.sameBlocks(0)
					if len(p.client.inErr)+len(p.server.inErr) == 0 {
						t.Error("no packet was refused: nothing was mangled")
					}
				})
			})
		}
	}
}

// A ClientHello with a post-quantum key share does not fit one message.
func TestHugeClientHello(t *testing.T) {
	for _, wrap := range []string{"plain", "tls-crypt-v2"} {
		t.Run(wrap, func(t *testing.T) {
			identities(t, pki.ECDSA)
			synctest.Test(t, func(t *testing.T) {
				var hello int
				p := newPair(t, settings{
					wrap: wrap, cookie: true, weather: daemontest.Weather{Delay: time.Millisecond},
					client: func(c *control.Config) {
						c.TLS.CurvePreferences = []tls.CurveID{tls.X25519MLKEM768, tls.X25519}
						c.PacketSize = 1000
					},
				})
				p.until(time.Second, func() bool {
					for _, op := range p.client.ops {
						if op == wire.OpControlV1 || op == wire.OpControlWKCV1 {
							hello++
						}
					}
					return p.server.s != nil
				})
				if hello < 2 {
					t.Errorf("ClientHello in %d messages", hello)
				}
				p.connect()
				if p.client.largest > 1000 {
					t.Errorf("packet of %d bytes, limit 1000", p.client.largest)
				}
				first := slices.IndexFunc(p.client.ops, func(op wire.Opcode) bool {
					return op != wire.OpControlHardResetClientV2 && op != wire.OpControlHardResetClientV3
				})
				if want := map[string]wire.Opcode{"plain": wire.OpControlV1, "tls-crypt-v2": wire.OpControlWKCV1}[wrap]; p.client.ops[first] != want {
					t.Errorf("after the reset the client sends %v, want %v", p.client.ops[first], want)
				}
			})
		})
	}
}

// A text has to fit one record, and peers discard control characters.
func TestTextLimits(t *testing.T) {
	identities(t, pki.ECDSA)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, settings{weather: daemontest.Weather{Delay: time.Millisecond}})
		// Before the key is active texts wait.
		if err := p.client.s.SendText("early"); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"", "a\nb", "a\x00b", "\x7f", strings.Repeat("x", control.MaxText+1)} {
			if err := p.client.s.SendText(bad); err != control.ErrText { //nolint:errorlint // returned as it is
				t.Errorf("SendText(%.10q): %v, want ErrText", bad, err)
			}
		}
		long := strings.Repeat("y", control.MaxText)
		if err := p.client.s.SendText(long); err != nil {
			t.Fatal(err)
		}
		p.connect()
		p.until(time.Minute, func() bool { return len(p.server.texts) == 2 })
		if diff := cmp.Diff([]string{"early", long}, p.server.texts); diff != "" {
			t.Errorf("server heard (-want +got):\n%s", diff)
		}
	})
}
