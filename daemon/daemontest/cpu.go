package daemontest

import (
	"syscall"
	"testing"
	"time"
)

// ProcessorTime returns the processor time of this process so far: other processes make it no longer.
func ProcessorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
