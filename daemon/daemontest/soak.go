package daemontest

import (
	"os"
	"testing"
	"time"
)

// SoakTime is how long a test of the build tag soak runs: MOONGATE_SOAK, or ten minutes.
func SoakTime(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv("MOONGATE_SOAK")
	if text == "" {
		return 10 * time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("MOONGATE_SOAK: %v", err)
	}
	return d
}
