package fleet_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// A revocation ends the sessions of a certificate on all nodes within a second, and holds while the store is away, after a restart without
// it, and in a new store.
func TestRevocations(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		lost, kept := w.add("joe", "00"), w.add("jane", "01")
		lost.serial, kept.serial = "31", "32"
		w.connect(lost, w.nodes[1])
		w.connect(kept, w.nodes[2])
		if err := w.nodes[0].member.Revoke(t.Context(), fleet.Revocation{Serial: "31", Reason: "lost"}); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		if n := w.serves(); n != 1 {
			t.Errorf("%d sessions, want that of another certificate", n)
		}
		w.nodes[1].handle.Cut(true)
		w.nodes[1].kill()
		w.nodes[1].start()
		w.pass(5 * time.Second)
		if w.connect(lost, w.nodes[1]); lost.at != nil {
			t.Error("after a restart without the store the certificate is in")
		}
		w.nodes[1].handle.Cut(false)
		w.pass(time.Minute)
		w.cluster.Clear()
		w.heal()
		if w.connect(lost, w.nodes[2]); lost.at != nil {
			t.Error("in a new store the certificate is in")
		}
		if err := w.nodes[2].member.Unrevoke(t.Context(), "31"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		if w.connect(lost, w.nodes[1]); lost.at == nil {
			t.Error("the certificate is still kept out")
		}
		if err := w.nodes[2].member.Unrevoke(t.Context(), "31"); !errors.Is(err, fleet.ErrNotFound) {
			t.Errorf("a revocation that is not there: %v", err)
		}
		for _, bad := range []string{"", "1f", "-1", strings.Repeat("9", 65)} {
			if err := w.nodes[0].member.Revoke(t.Context(), fleet.Revocation{Serial: bad}); err == nil {
				t.Errorf("serial %q was taken", bad)
			}
		}
	})
}

// What a node orders while it is cut off counts there at once, for newcomers too, and elsewhere when it is back; of several words the last counts.
func TestWhatANodeOrdersCountsThereAtOnce(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		a := w.nodes[0]
		a.handle.Cut(true)
		w.pass(5 * time.Second)
		for _, err := range []error{
			a.member.Revoke(t.Context(), fleet.Revocation{Serial: "31"}), a.member.Ban(t.Context(), fleet.Ban{User: "mallory"}),
			a.member.SetFile(t.Context(), fleet.File{Name: "joe", Text: "one"}), a.member.SetFile(t.Context(), fleet.File{Name: "joe", Text: "two"}),
		} {
			if !errors.Is(err, fleet.ErrAway) {
				t.Fatalf("%v, want the store away", err)
			}
		}
		out := []*device{w.add("joe", "00"), w.add("mallory", "01")}
		out[0].serial = "31"
		for _, d := range out {
			if w.connect(d, a); d.at != nil {
				t.Errorf("%s is in at the node that keeps it out", d.identity)
			}
		}
		want := fleet.Shared{
			Files: []fleet.File{{Name: "joe", Text: "two"}}, Revocations: []fleet.Revocation{{Serial: "31"}}, Bans: []fleet.Ban{{User: "mallory"}},
		}
		if diff := cmp.Diff(want, a.member.Shared()); diff != "" {
			t.Errorf("at the node (-want +got):\n%s", diff)
		}
		a.handle.Cut(false)
		w.pass(time.Minute)
		if diff := cmp.Diff(want, w.nodes[2].member.Shared()); diff != "" {
			t.Errorf("at another, later (-want +got):\n%s", diff)
		}
	})
}

// Files go to all nodes, and stay there without the store and after a restart.
func TestFiles(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		m := func(n int) *fleet.Member { return w.nodes[n].member }
		check := func(n int, name, want string) {
			t.Helper()
			if got, ok := m(n).File(name); got != want || ok != (want != "") {
				t.Errorf("node %d has %q for %q, want %q", n, got, name, want)
			}
		}
		names := []string{"", "DEFAULT", "joe", "Jürgen Öl/@ home"}
		for _, name := range names {
			if err := m(0).SetFile(t.Context(), fleet.File{Name: name, Text: "lines of " + name}); err != nil {
				t.Fatal(err)
			}
		}
		if err := m(1).SetFile(t.Context(), fleet.File{Name: "joe", Text: "other lines"}); err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Second)
		w.nodes[2].handle.Cut(true)
		w.nodes[2].kill()
		w.nodes[2].start()
		for _, name := range names {
			want := "lines of " + name
			if name == "joe" {
				want = "other lines"
			}
			for n := range w.nodes {
				check(n, name, want)
			}
		}
		if err := m(2).RemoveFile(t.Context(), "nobody"); !errors.Is(err, fleet.ErrAway) || errors.Is(err, fleet.ErrLater) {
			t.Errorf("a file that nobody knows of is taken away without the store: %v", err)
		}
		if err := m(2).RemoveFile(t.Context(), "joe"); !errors.Is(err, fleet.ErrLater) {
			t.Errorf("a file is taken away without the store: %v", err)
		}
		check(2, "joe", "")
		check(0, "joe", "other lines")
		w.nodes[2].handle.Cut(false)
		w.pass(time.Minute)
		for n := range w.nodes {
			check(n, "joe", "")
		}
		if err := m(1).RemoveFile(t.Context(), "joe"); !errors.Is(err, fleet.ErrNotFound) {
			t.Errorf("a file is taken away twice: %v", err)
		}
		if err := m(0).SetFile(t.Context(), fleet.File{Name: "big", Text: strings.Repeat("x", fleet.FileMost+1)}); err == nil {
			t.Error("a file of any size is taken")
		}
		if err := m(0).SetFile(t.Context(), fleet.File{Name: strings.Repeat("ö", 100), Text: "x"}); err == nil {
			t.Error("a name of any length is taken")
		}
	})
}
