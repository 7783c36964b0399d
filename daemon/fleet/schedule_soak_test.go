//go:build soak

package fleet_test

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// Random schedules that no run before has played; the seed of one that fails is in its log.
func TestSoakNoAddressIsHeldTwice(t *testing.T) {
	seed, played := uint64(time.Now().UnixNano()), 0
	for until := time.Now().Add(daemontest.SoakTime(t)); time.Now().Before(until) && !t.Failed(); seed++ {
		schedule(t, seed)
		played++
	}
	t.Logf("%d schedules", played)
}

func TestSoakAnOldLeaderIsNotBelieved(t *testing.T) { anOldLeaderIsNotBelieved(t, 1) }

func TestSoakIdleTraffic(t *testing.T) { idleTraffic(t, 10000) }
