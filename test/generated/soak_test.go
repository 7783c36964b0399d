//go:build linux && soak

package generated

import "testing"

// All of them, with their own ways to reload and to revoke.
func TestSoakGenerated(t *testing.T) { compare(t, setups(t), true) }
