package server

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Whole servers wait most of their time: they may do so together.
	_ = flag.Set("test.parallel", "48")
	goleak.VerifyTestMain(m)
}
