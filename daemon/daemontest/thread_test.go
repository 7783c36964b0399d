//go:build linux

package daemontest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// The first thread of a process, whose namespace is the process's to others, enters none, whatever goroutines it runs.
func TestTheFirstThreadStaysWhereItIs(t *testing.T) {
	n := NewNamespace(t)
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		n.Do(t, func() error {
			if unix.Gettid() == os.Getpid() {
				t.Error("on the first thread")
			}
			return nil
		})
	}
	if after, _ := os.Readlink("/proc/self/ns/net"); after != before {
		t.Errorf("it went from %s to %s", before, after)
	}
}
