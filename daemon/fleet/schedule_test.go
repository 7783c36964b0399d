package fleet_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

func decode[T any](t *testing.T, r fleet.Record) (v T, ok bool) {
	t.Helper()
	return v, json.Unmarshal(r.Value, &v) == nil
}

var (
	firstSeed = flag.Uint64("fleet.seed", 1, "first seed of the random schedules")
	schedules = flag.Int("fleet.schedules", 8, "number of random schedules")
)

// No address is ever held by two identities, nor by two live clients, whatever is cut off, killed and lost; and when all is well
// again the store holds exactly what the nodes serve.
func TestNoAddressIsHeldTwice(t *testing.T) {
	many := *schedules
	if testing.Short() {
		many = min(many, 6)
	}
	for n := range many {
		seed := *firstSeed + uint64(n)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { schedule(t, seed) })
	}
}

// schedule plays ten minutes of a seed, lets everything come back, and compares the store with what the nodes serve.
func schedule(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, 3, fleet.Config{Slots: 40, PageSize: 3, LeaseTime: 2 * time.Minute, Alone: seed%2 == 0, Limit: fleet.Limit{Single: seed%3 == 0}})
		for i := range 12 {
			d := &device{identity: fmt.Sprintf("user %d", i/2), mark: fmt.Sprintf("%02d", i), unnamed: seed%5 < 2}
			if d.unnamed { // newcomers, nearly all of them
				d.identity = d.mark
			}
			w.devices = append(w.devices, d)
		}
		w.play(10 * time.Minute)
		w.heal()
		w.agree()
		w.end()
	})
}
