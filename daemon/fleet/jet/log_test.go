//go:build !nofleet

package jet

import (
	"sync"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// logTo writes lines into the test's log until it ends.
func logTo(t *testing.T) logging.Func {
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
		if !over && lv.Verb() <= 6 {
			t.Logf(format, args...)
		}
	}
}
