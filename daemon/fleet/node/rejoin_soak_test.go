//go:build soak && !nofleet

package node

import (
	"testing"
	"time"
)

// A node that leaves and joins again under its name has a copy of the store each time.
func TestSoakRejoin(t *testing.T) {
	const times = 20
	a := open(t, first(t, "a"))
	b := open(t, join(t, a, "b"))
	c := open(t, join(t, a, "c"))
	shares(t, "start", a, b, c)
	eventually(t, "three replicas", func() error { return replicas(t, a, 2) })
	var longest time.Duration
	for n := range times {
		caller, err := NewCaller(c.Folder().Dir)
		if err != nil {
			t.Fatal(err)
		}
		err = caller.Leave(t.Context(), Member{Name: "c", Address: c.Folder().Address}, "c")
		caller.Close()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		eventually(t, "two replicas", func() error { return replicas(t, a, 1) })
		c = open(t, join(t, a, "c"))
		began := time.Now()
		eventually(t, "three replicas again", func() error { return replicas(t, a, 2) })
		took := time.Since(began)
		longest = max(longest, took)
		t.Logf("%d: the new replica is up to date after %v", n, took.Round(10*time.Millisecond))
	}
	t.Logf("%d times, %v at the most", times, longest.Round(10*time.Millisecond))
}
