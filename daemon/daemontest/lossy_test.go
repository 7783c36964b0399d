package daemontest_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// through sends n numbered packets, a millisecond apart, and returns what arrives, in order.
func through(seed uint64, w daemontest.Weather, n int) []string {
	start := time.Unix(1, 0)
	l := daemontest.NewLossy(seed, w)
	for i := range n {
		l.Send(fmt.Appendf(nil, "%03d", i), start.Add(time.Duration(i)*time.Millisecond))
	}
	var got []string
	for !l.Next().IsZero() {
		p, ok := l.Recv(l.Next())
		if !ok {
			break
		}
		got = append(got, string(p))
	}
	return got
}

func TestLossy(t *testing.T) {
	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprintf("%03d", i))
	}
	if diff := cmp.Diff(all, through(1, daemontest.Weather{Delay: time.Second}, 100)); diff != "" {
		t.Errorf("fair weather (-want +got):\n%s", diff)
	}
	w := daemontest.Weather{Loss: 0.3, Duplicate: 0.1, Reorder: 0.5, ReorderBy: 50 * time.Millisecond}
	a, b, c := through(1, w, 100), through(1, w, 100), through(2, w, 100)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the same seed does something else (-first +second):\n%s", diff)
	}
	if cmp.Equal(a, c) {
		t.Error("two seeds do the same")
	}
	sorted, count := true, map[string]int{}
	for i, p := range a {
		count[p]++
		sorted = sorted && (i == 0 || a[i-1] <= p)
	}
	if len(count) < 50 || len(count) > 90 || len(a) == len(count) || sorted {
		t.Errorf("%d packets, %d different, sorted %v: want some lost, doubled and out of order", len(a), len(count), sorted)
	}
	if got := through(1, daemontest.Weather{Loss: 1}, 100); len(got) != 0 {
		t.Errorf("%d packets survive a loss of 1", len(got))
	}
}

// A packet stays on its way until its time, and mangling leaves the sender's bytes alone.
func TestLossyTimeAndMangling(t *testing.T) {
	now := time.Unix(1, 0)
	l := daemontest.NewLossy(1, daemontest.Weather{Delay: time.Second, Mangle: 1})
	sent := bytes.Repeat([]byte{0}, 32)
	l.Send(sent, now)
	if _, ok := l.Recv(now.Add(time.Second - 1)); ok {
		t.Error("arrived early")
	}
	got, ok := l.Recv(now.Add(time.Second))
	if !ok || bytes.Equal(got, sent) || !bytes.Equal(sent, make([]byte, 32)) {
		t.Errorf("arrived %v as %x, sent %x", ok, got, sent)
	}
}
