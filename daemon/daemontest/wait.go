package daemontest

import (
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// LogTo writes lines up to a verbosity into the test's log, until the test ends.
func LogTo(t testing.TB, verb int) logging.Func {
	var mu sync.Mutex
	over := false
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
	})
	return func(lv logging.Level, format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if !over && lv.Verb() <= verb {
			t.Logf(time.Now().Format("05.000 ")+format, args...)
		}
	}
}

// Eventually tries until there is no error, and fails the test with the last one when that takes longer than within.
func Eventually(t testing.TB, within time.Duration, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("no %s within %v: %v", what, within, err)
}
