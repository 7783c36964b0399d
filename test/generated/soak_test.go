//go:build linux && soak

package generated

import (
	"maps"
	"testing"
)

// All of them, to a quiet end and with their own ways to reload and to revoke, warnings and pushed options compared as well. A difference of the table that nothing shows any
// more has to go.
func TestSoakGenerated(t *testing.T) {
	withNotices = true
	used := make(map[*difference]bool)
	for name, life := range map[string]bool{"one life": false, "reloads": true} {
		t.Run(name, func(t *testing.T) { maps.Copy(used, compare(t, setups(t), life)) })
	}
	if t.Failed() {
		return
	}
	for i := range differences {
		if d := &differences[i]; !used[d] {
			t.Errorf("difference %s %q is not there any more: %s", d.pairing, d.key, d.reason)
		}
	}
}
