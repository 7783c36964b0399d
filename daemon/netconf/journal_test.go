package netconf_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/netconf/netconftest"
)

func route(dst, via string) netconf.Route {
	r := netconf.Route{Dst: netip.MustParsePrefix(dst), Metric: netconf.NoMetric}
	if via != "" {
		r.Via = netip.MustParseAddr(via)
	}
	return r
}

// Everything is taken back in stock's order, what was there before stays.
func TestJournalUndo(t *testing.T) {
	f := new(netconftest.Fake)
	for _, r := range []netconf.Route{route("0.0.0.0/0", "10.99.0.1"), route("172.16.0.0/12", "10.8.0.1")} {
		if err := f.AddRoute(r); err != nil {
			t.Fatal(err)
		}
	}
	before := f.Routes()
	f.Fail("add route 10.66.0.0/16 via 10.8.0.1 metric -1", errors.New("refused"))

	dir := t.TempDir()
	notes := openNotes(t, dir)
	j := netconf.NewJournal(f, notes, nil)
	if err := j.AddAddr("tun0", netconf.Addr{Prefix: netip.MustParsePrefix("10.8.0.2/24")}); err != nil {
		t.Fatal(err)
	}
	j.Apply([]netconf.Op{
		{Route: route("10.50.0.1/32", "10.99.0.1")},
		{Delete: true, Route: route("0.0.0.0/0", "10.99.0.1")},
		{Route: route("0.0.0.0/0", "10.8.0.1")},
		{List: true, Route: route("10.99.0.0/25", "10.8.0.1")},
		{Route: route("2000::/4", "")},
	})
	for dst, want := range map[string]bool{"192.168.0.0/16": true, "172.16.0.0/12": false, "10.66.0.0/16": false} {
		if err := j.AddRoute(route(dst, "10.8.0.1")); (err == nil) != want {
			t.Errorf("%s: %v", dst, err)
		}
	}
	if n := noted(t, dir); n != 5+1 {
		t.Errorf("%d operations are noted", n)
	}
	n := len(f.Calls())
	j.Undo()
	want := []string{
		"del route 10.99.0.0/25 via 10.8.0.1 metric -1",
		"del route 192.168.0.0/16 via 10.8.0.1 metric -1",
		"del route 10.50.0.1/32 via 10.99.0.1 metric -1",
		"del route 0.0.0.0/0 via 10.8.0.1 metric -1",
		"add route 0.0.0.0/0 via 10.99.0.1 metric -1",
		"del route 2000::/4 metric -1",
		"del addr tun0 10.8.0.2/24",
	}
	if diff := cmp.Diff(want, f.Calls()[n:]); diff != "" {
		t.Errorf("undo (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(sorted(before), sorted(f.Routes())); diff != "" {
		t.Errorf("routes (-before +after):\n%s", diff)
	}
	if n := noted(t, dir); n != 0 {
		t.Errorf("%d operations are noted after the undo", n)
	}
	notes.Close()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
	if j.Undo(); len(f.Calls()) != n+len(want) {
		t.Error("second undo did something")
	}
}

func sorted(rs []netconf.Route) map[string]bool {
	out := make(map[string]bool)
	for _, r := range rs {
		out[fmt.Sprint(r.Dst, r.Via)] = true
	}
	return out
}

// From plan to plan only the difference is done: new routes before old ones go, a server's route last.
func TestJournalBecome(t *testing.T) {
	f := &netconftest.Fake{}
	first := []netconf.Route{route("0.0.0.0/0", "10.99.0.1"), route("172.16.0.0/12", "10.8.0.1")}
	for _, r := range first {
		if err := f.AddRoute(r); err != nil {
			t.Fatal(err)
		}
	}
	f.Fail("add route 10.66.0.0/16 via 10.8.0.1 metric -1", errors.New("refused"))
	dir := t.TempDir()
	j := netconf.NewJournal(f, openNotes(t, dir), nil)
	host, all := route("10.50.0.1/32", "10.99.0.1"), route("0.0.0.0/0", "10.8.0.1")
	plain := []netconf.Op{{Route: host}, {Delete: true, Route: first[0]}, {Route: all}}
	halves := []netconf.Op{{Note: "a note"}, {Route: host}, {Route: route("0.0.0.0/1", "10.8.0.1")}, {Route: route("128.0.0.0/1", "10.8.0.1")}}
	for _, tt := range []struct {
		name  string
		plan  []netconf.Op
		ok    bool
		calls []string
	}{
		{"plain", plain, true, []string{
			"add route 10.50.0.1/32 via 10.99.0.1 metric -1", "del route 0.0.0.0/0 via 10.99.0.1 metric -1", "add route 0.0.0.0/0 via 10.8.0.1 metric -1",
		}},
		{"again", plain, true, nil},
		{"in halves", halves, true, []string{
			"add route 0.0.0.0/1 via 10.8.0.1 metric -1", "add route 128.0.0.0/1 via 10.8.0.1 metric -1",
			"del route 0.0.0.0/0 via 10.8.0.1 metric -1", "add route 0.0.0.0/0 via 10.99.0.1 metric -1",
		}},
		{"the server's as one of the list", []netconf.Op{{List: true, Route: host}}, true, []string{
			"del route 128.0.0.0/1 via 10.8.0.1 metric -1", "del route 0.0.0.0/1 via 10.8.0.1 metric -1",
		}},
		{"refused", []netconf.Op{{List: true, Route: route("10.66.0.0/16", "10.8.0.1")}, {List: true, Route: first[1]}}, false, []string{
			"add route 10.66.0.0/16 via 10.8.0.1 metric -1", "add route 172.16.0.0/12 via 10.8.0.1 metric -1", "del route 10.50.0.1/32 via 10.99.0.1 metric -1",
		}},
		{"nothing", nil, true, nil},
	} {
		n := len(f.Calls())
		if ok := j.Become(tt.plan); ok != tt.ok {
			t.Errorf("%s: %v", tt.name, ok)
		}
		if diff := cmp.Diff(tt.calls, f.Calls()[n:], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if diff := cmp.Diff(sorted(first), sorted(f.Routes())); diff != "" {
		t.Errorf("routes (-before +after):\n%s", diff)
	}
	if n := noted(t, dir); n != 0 {
		t.Errorf("%d operations are noted after the undo", n)
	}
}
