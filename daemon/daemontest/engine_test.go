package daemontest

import "testing"

// Processes that run beside each other have addresses of their own: two servers at one address and port, both of which let others
// join, would take each other's packets.
func TestLoopbackOfProcesses(t *testing.T) {
	seen := make(map[string]int)
	for pid := 4_000_000; pid < 4_000_000+1<<15; pid++ {
		at := loopback(pid, 1)
		if other, ok := seen[at]; ok {
			t.Fatalf("processes %d and %d both have %s", other, pid, at)
		}
		seen[at] = pid
	}
	if a, b := loopback(7, 300), loopback(7, 44); a == b {
		t.Errorf("%s twice in one process", a)
	}
}
