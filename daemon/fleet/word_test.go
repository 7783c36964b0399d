package fleet_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// What a node is told while it is cut off is in force there, and reaches the others when it is back, also if it was killed meanwhile: what it
// gives, what it takes away, and what it takes back. A newer word of the others about what it takes away stays.
func TestWordsOutliveTheirNode(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		later := func(err error) {
			t.Helper()
			if !errors.Is(err, fleet.ErrLater) {
				t.Fatalf("%v, want that the others hear of it later", err)
			}
		}
		done := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, user := range []string{"unbanned", "banned again", "banned"} {
			done(b.member.Ban(t.Context(), fleet.Ban{User: user, By: "b"}))
		}
		done(b.member.SetFile(t.Context(), fleet.File{Name: "old", Text: "old"}))
		w.pass(5 * time.Second)
		a.handle.Cut(true)
		w.pass(5 * time.Second)
		later(a.member.Ban(t.Context(), fleet.Ban{User: "new", By: "a"}))
		later(a.member.Ban(t.Context(), fleet.Ban{User: "mistake", By: "a"}))
		later(a.member.Unban(t.Context(), fleet.Ban{User: "mistake"}))
		later(a.member.Unban(t.Context(), fleet.Ban{User: "unbanned"}))
		later(a.member.Unban(t.Context(), fleet.Ban{User: "banned again"}))
		later(a.member.SetFile(t.Context(), fleet.File{Name: "joe", Text: "one"}))
		later(a.member.SetFile(t.Context(), fleet.File{Name: "joe", Text: "two"}))
		later(a.member.RemoveFile(t.Context(), "old"))
		later(a.member.Revoke(t.Context(), fleet.Revocation{Serial: "7"}))
		done(b.member.Ban(t.Context(), fleet.Ban{User: "banned again", Reason: "really", By: "b"}))
		bans := func(list ...fleet.Ban) []fleet.Ban { return list }
		here := fleet.Shared{
			Files: []fleet.File{{Name: "joe", Text: "two"}}, Revocations: []fleet.Revocation{{Serial: "7"}}, Bans: bans(fleet.Ban{User: "banned", By: "b"}, fleet.Ban{User: "new", By: "a"}),
		}
		check := func(n *node, when string, want fleet.Shared) {
			t.Helper()
			if diff := cmp.Diff(want, n.member.Shared()); diff != "" {
				t.Errorf("node %s %s (-want +got):\n%s", n.name, when, diff)
			}
		}
		check(a, "while it is cut off", here)
		a.kill()
		a.start()
		check(a, "after a restart, still cut off", here)
		w.pass(5 * time.Second)
		a.handle.Cut(false)
		w.pass(time.Minute)
		here.Bans = bans(fleet.Ban{User: "banned", By: "b"}, fleet.Ban{User: "banned again", Reason: "really", By: "b"}, fleet.Ban{User: "new", By: "a"})
		for _, n := range w.nodes {
			check(n, "when all is well", here)
		}
		a.kill()
		a.start()
		w.pass(time.Minute)
		check(a, "after another restart", here)
	})
}

// A kill that waits for the store outlives its node. It ends no client there that logged in after it.
func TestKillsOutliveTheirNode(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		here, there := orderedWhileCut(t, w)
		w.nodes[0].kill()
		w.pass(time.Minute)
		w.nodes[0].start()
		w.connect(here, w.nodes[0])
		w.nodes[0].handle.Cut(false)
		w.pass(time.Minute)
		if here.at == nil || there.at != nil {
			t.Errorf("clients %+v and %+v: want that the one that came after the kill stays, and the other does not", here.at, there.at)
		}
	})
}

// After a day a kill that nobody has heard of is forgotten.
func TestOldKillsAreForgotten(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		_, there := orderedWhileCut(t, w)
		for _, n := range w.nodes {
			n.kill()
		}
		w.pass(25 * time.Hour)
		for _, n := range w.nodes {
			n.start()
		}
		w.pass(10 * time.Second)
		w.connect(there, w.nodes[1])
		w.nodes[0].handle.Cut(false)
		w.pass(time.Minute)
		if there.at == nil {
			t.Error("a kill of the day before ends a client")
		}
	})
}

// orderedWhileCut gives an order to kill a user at the first node while it is cut off. The user has a client there, and one at the second.
func orderedWhileCut(t *testing.T, w *world) (here, there *device) {
	t.Helper()
	here, there = w.add("mallory", "00"), w.add("mallory", "01")
	w.connect(here, w.nodes[0])
	w.connect(there, w.nodes[1])
	w.pass(5 * time.Second)
	w.nodes[0].handle.Cut(true)
	w.pass(5 * time.Second)
	if _, err := w.nodes[0].member.Order(t.Context(), fleet.Order{Kind: fleet.OrderKill, User: "mallory"}); !errors.Is(err, fleet.ErrLater) {
		t.Fatal(err)
	}
	w.pass(time.Second)
	if here.at != nil || there.at == nil {
		t.Errorf("clients %+v and %+v after a kill at the first node alone", here.at, there.at)
	}
	return here, there
}
