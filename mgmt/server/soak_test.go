//go:build soak

package server_test

import (
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// Hostile seats for long: nothing breaks, nothing grows.
func TestSoakHostileSeats(t *testing.T) { hostileSeats(t, daemontest.SoakTime(t)) }
