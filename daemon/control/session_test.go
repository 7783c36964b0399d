package control_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
)

type randReader struct{}

func (randReader) Read(b []byte) (int, error) { return rand.Read(b) }

func TestHandshake(t *testing.T) {
	for _, wrap := range []string{"plain", "tls-auth", "tls-crypt", "tls-crypt-v2"} {
		for _, cookie := range []bool{false, true} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				for _, kind := range []pki.KeyKind{pki.ECDSA, pki.RSA} {
					for _, ekm := range []bool{false, true} {
						name := fmt.Sprintf("%s/cookie=%v/%s/key=%d/ekm=%v", wrap, cookie, tls.VersionName(version), kind, ekm)
						identities(t, kind) // outside the bubble
						t.Run(name, func(t *testing.T) {
							synctest.Test(t, func(t *testing.T) {
								p := newPair(t, settings{
									wrap: wrap, cookie: cookie, key: kind, ekm: ekm, user: "alice", pass: "secret",
									weather: daemontest.Weather{Delay: 10 * time.Millisecond},
									client:  func(c *control.Config) { c.TLS.MaxVersion = version },
								})
								p.connect()
								p.sameBlocks(0)
								want := []string{"initial", "tls 0", "credentials 0", "message 0", "active 0"}
								if diff := cmp.Diff(want, p.client.log); diff != "" {
									t.Errorf("client events (-want +got):\n%s", diff)
								}
								want = []string{"initial", "tls 0", "message 0", "active 0"}
								if diff := cmp.Diff(want, p.server.log); diff != "" {
									t.Errorf("server events (-want +got):\n%s", diff)
								}
								m := p.server.message
								if m.Username != "alice" || m.Password != "secret" || m.PeerInfo != p.client.cfg.PeerInfo || m.Options != p.client.cfg.LocalOptions {
									t.Errorf("server read %q %q %q %q", m.Username, m.Password, m.PeerInfo, m.Options)
								}
								if got := p.client.message.Options; got != p.server.cfg.LocalOptions {
									t.Errorf("client read options %q", got)
								}
								if n := max(p.client.largest, p.server.largest); n > control.DefaultPacketSize {
									t.Errorf("packet of %d bytes, limit %d", n, control.DefaultPacketSize)
								}
								if len(p.client.inErr)+len(p.server.inErr) > 0 {
									t.Errorf("dropped packets: client %v, server %v", p.client.inErr, p.server.inErr)
								}
							})
						})
					}
				}
			}
		}
	}
}
