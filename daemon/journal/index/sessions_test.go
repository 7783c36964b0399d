package index

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

// life writes a journal of three runs, the first of which was killed. Events are written as "minute kind cid user tunnel".
func life(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, text := range []string{
		"0 start; 10 connect 0 alice 10.8.0.2; 20 connect 1 bob 10.8.0.3; 30 disconnect 0 alice",
		"60 start; 70 connect 0 alice 10.8.0.2; 80 connect 1 carol 10.8.0.4; 90 disconnect 1 carol; 95 stop",
		"100 start; 110 connect 0 bob 10.9.0.0/24; 115 connect 1 dave 10.8.0.2; 120 disconnect 1 dave",
	} {
		w, err := journal.Open(journal.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(text, "; ") {
			var minute int
			var user, tunnel string
			e := journal.Event{CID: new(uint64)}
			if n, _ := fmt.Sscan(line, &minute, &e.Kind, e.CID, &user, &tunnel); n < 3 {
				e.CID = nil
			}
			if tunnel != "" {
				e.Tunnel = []string{tunnel}
			}
			e.User, e.Time = user, begin.Add(time.Duration(minute)*time.Minute)
			if e.Kind == journal.KindDisconnect {
				e.Reason, e.In, e.Out, e.Seconds, e.Address = "remote-exit", 1, 2, 600, "192.0.2.7"
			}
			w.Record(e)
		}
		w.Close()
		time.Sleep(2 * time.Millisecond) // the next run has another number
	}
	return dir
}

// The runs of a daemon are found without a look at all its events, and so are a user's sessions.
func TestSessionsUseTheOrders(t *testing.T) {
	if !built {
		t.Skip("this build has no index")
	}
	dir := life(t)
	if _, err := Sessions(t.Context(), dir, SessionFilter{}); err != nil { // makes the index
		t.Fatal(err)
	}
	x, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for order, f := range map[string]Filter{
		"by_run": {Kinds: runKinds}, "by_user": {User: "bob", Kinds: []string{journal.KindConnect, journal.KindDisconnect}, Since: begin}, "by_cn": {CN: "x", Since: begin},
	} {
		where, args := f.clause()
		var id, parent, unused int
		var plan string
		if err := x.db.QueryRowContext(t.Context(), "EXPLAIN QUERY PLAN SELECT segment FROM events WHERE "+where+" ORDER BY time, rowid", args...).Scan(&id, &parent, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, order) {
			t.Errorf("%+v: %s, want %s", f, plan, order)
		}
	}
}

func TestSessions(t *testing.T) {
	dir := life(t)
	at := func(minute int) time.Time { return begin.Add(time.Duration(minute) * time.Minute) }
	for _, tt := range []struct {
		name string
		f    SessionFilter
		want string // "user state minutes" of each
	}{
		{"all", SessionFilter{}, "alice ended 10-30, bob lost 20-60, alice ended 70-95, carol ended 80-90, bob open 110-, dave ended 115-120"},
		{"user", SessionFilter{User: "bob"}, "bob lost 20-60, bob open 110-"},
		{"who had an address", SessionFilter{Tunnel: netip.MustParseAddr("10.8.0.2"), From: at(75), Before: at(76)}, "alice ended 70-95"},
		{"who had a network", SessionFilter{Tunnel: netip.MustParseAddr("10.9.0.77")}, "bob open 110-"},
		{"at a moment of the first run", SessionFilter{From: at(25), Before: at(26)}, "alice ended 10-30, bob lost 20-60"},
		{"in a window", SessionFilter{From: at(91), Before: at(111)}, "alice ended 70-95, bob open 110-"},
		{"begun in a window", SessionFilter{From: at(75), Before: at(112), Began: true}, "carol ended 80-90, bob open 110-"},
		{"the end of one that began before it is read", SessionFilter{From: at(118), Began: true}, ""},
		{"nobody", SessionFilter{User: "eve"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := Sessions(t.Context(), dir, tt.f)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range list {
				text := fmt.Sprintf("%s %s %.0f-", s.User, s.State, s.Since.Sub(begin).Minutes())
				if !s.Until.IsZero() {
					text += fmt.Sprintf("%.0f", s.Until.Sub(begin).Minutes())
				}
				got = append(got, text)
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), tt.want)
			}
		})
	}
}
