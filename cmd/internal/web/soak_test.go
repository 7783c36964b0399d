//go:build soak && linux

package web

import (
	"testing"
	"time"
)

// A client that connects shows within 200 ms, among 10,000.
func TestSoakEventToPixel(t *testing.T) {
	if took := eventToPixel(t); took > 200*time.Millisecond {
		t.Errorf("%v from the event to the pixel, want at most 200 ms", took)
	}
}
