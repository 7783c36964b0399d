package client

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
)

func TestMain(m *testing.M) {
	clock.Follow()
	// Whole engines wait most of their time: they may do so together.
	_ = flag.Set("test.parallel", "48")
	goleak.VerifyTestMain(m)
}
