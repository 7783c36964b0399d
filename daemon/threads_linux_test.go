package daemon

import (
	"runtime"
	"testing"
)

func TestFitThreads(t *testing.T) {
	before := runtime.GOMAXPROCS(8)
	defer runtime.GOMAXPROCS(before)
	for _, tt := range []struct{ limit, cores, scripts int }{
		{100, 8, 0}, {20, 5, 3}, {10, 1, 1}, {4, 1, 1},
	} {
		runtime.GOMAXPROCS(8)
		if scripts := fitThreads(tt.limit); scripts != tt.scripts || runtime.GOMAXPROCS(0) != tt.cores {
			t.Errorf("limit %d: %d scripts on %d cores, want %d on %d", tt.limit, scripts, runtime.GOMAXPROCS(0), tt.scripts, tt.cores)
		}
	}
	if threadLimit() <= 0 {
		t.Error("no threads at all")
	}
}
