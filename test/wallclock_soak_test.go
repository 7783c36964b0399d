//go:build linux && soak

package test

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
)

// A running program of ours believes another time, and its clock that only goes forward does not notice.
func TestSoakWallClock(t *testing.T) {
	l := newLab(t)
	c := clock.NewSystem(t)
	oursAt(t, l.server, c, l.serverArgs("--management", l.file("m.sock"), "unix")).WaitLine(t, up, upLimit)
	m := manage(t, l.file("m.sock"))
	for _, step := range []time.Duration{5 * time.Second, -5 * time.Second, 0} {
		c.Set(t, step)
		status, err := m.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(status.Updated).Round(time.Second); (got + step).Abs() > time.Second {
			t.Errorf("its calendar is %v ahead, and not %v", -got, step)
		}
	}
}
