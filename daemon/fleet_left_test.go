package daemon

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/node"
)

// A node that has left is taken out once, again after an error, and again when it has come back and left again; others never.
func TestTakeOutLeft(t *testing.T) {
	members := []node.Member{
		{Name: "here", State: node.Active, Version: 1}, {Name: "new", State: node.Admitted, Version: 1},
		{Name: "lost", State: node.Left, Version: 2}, {Name: "gone", State: node.Left, Version: 2},
	}
	var asked []string
	answers := map[string]error{"lost": fmt.Errorf("no: %w", fleet.ErrAway), "gone": fleet.ErrNotFound}
	done := make(map[string]uint64)
	ask := func(want ...string) {
		t.Helper()
		asked = nil
		takeOut(t.Context(), members, done, func(_ context.Context, name string) error {
			asked = append(asked, name)
			return answers[name]
		})
		if !slices.Equal(asked, want) {
			t.Errorf("asked %v, and not %v", asked, want)
		}
	}
	ask("lost", "gone")
	ask("lost")
	answers["lost"] = nil
	ask("lost")
	ask()
	members[2].State, members[2].Version = node.Active, 3
	ask()
	members[2].State, members[2].Version = node.Left, 4
	ask("lost")
}
