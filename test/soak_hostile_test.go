//go:build linux && soak

package test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/script/sandbox/hostile"
)

// Every hostile script inside a running server, with the figures of a quiet machine.
func TestSoakHostileScripts(t *testing.T) {
	names := slices.Concat(slices.Collect(maps.Keys(hostile.Scripts)), slices.Collect(maps.Keys(hostile.Floods)))
	slices.Sort(names)
	if len(names) < 50 {
		t.Fatalf("%d scripts", len(names))
	}
	hostileScripts(t, names, 20*time.Millisecond, 200*time.Millisecond)
}
