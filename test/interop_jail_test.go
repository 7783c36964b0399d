//go:build linux

package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// Under chroot the revocation list is the one inside, from the first client on, whatever lies at its path outside.
func TestRevocationListInsideTheJail(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"absolute": "/crl.pem", "relative": "crl.pem", "in a folder": "/lists/crl.pem"} {
		for daemon, start := range programs {
			t.Run(name+"/"+daemon, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				gone := l.issue(t, "gone", pki.Spec{Name: "gone"})
				outside, err := l.ca.CRL(time.Now().Add(time.Hour)) // revokes nobody
				if err != nil {
					t.Fatal(err)
				}
				l.ca.Revoke(gone)
				inside, err := l.ca.CRL(time.Now().Add(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				jail := l.file("jail")
				for _, dir := range []string{filepath.Dir(filepath.Join(jail, path)), jail + "/tmp"} {
					if err := os.MkdirAll(dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				l.write(t, "crl.pem", outside)
				if err := os.WriteFile(filepath.Join(jail, path), inside, 0o644); err != nil {
					t.Fatal(err)
				}
				s := start(t, l.server, l.serverArgs("--cd", l.dir, "--chroot", jail, "--persist-key", "--persist-tun", "--crl-verify", path))
				s.WaitLine(t, up, upLimit)
				refused := stock(t, l.client, l.clientArgs("--nobind", "--route-noexec", "--ifconfig-noexec", "--cert", l.file("gone.crt"), "--key", l.file("gone.key")))
				s.WaitLine(t, "certificate revoked", upLimit)
				refused.Stop(t)
				l.stockClient(t, "--nobind", "--route-noexec", "--ifconfig-noexec")
				if log := s.Log(); strings.Contains(log, "Failed to stat CRL file") || strings.Contains(log, "cannot read CRL") {
					t.Errorf("the list was looked for elsewhere:\n%s", log)
				}
			})
		}
	}
}
