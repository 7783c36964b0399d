package replay

import (
	"encoding/hex"
	"testing"
	"time"
)

// What the stock daemon wrote, the last four bytes being whatever was in its memory.
func TestStateAsStockWritesIt(t *testing.T) {
	b, err := hex.DecodeString("b6ee076b0000000006000000ff7f0000")
	if err != nil {
		t.Fatal(err)
	}
	want := State{Time: 0x6b07eeb6, ID: 6}
	if got, ok := ParseState(b); !ok || got != want {
		t.Errorf("parsed %+v, %v; want %+v", got, ok, want)
	}
	if got, ok := ParseState(AppendState(nil, want)); !ok || got != want {
		t.Errorf("written and parsed %+v, %v; want %+v", got, ok, want)
	}
	for _, bad := range []string{"", "short", "garbagegarbagegarbage"} {
		if s, ok := ParseState([]byte(bad)); ok {
			t.Errorf("%q is taken as %+v", bad, s)
		}
	}
}

func TestResume(t *testing.T) {
	now := time.Unix(1000, 0)
	before := New(DefaultSize, DefaultLimit)
	for _, id := range []uint32{1, 2, 5} {
		before.AcceptLong(id, 900, now)
	}
	for _, size := range []int{0, 1, DefaultSize, MaxSize} {
		w := New(size, DefaultLimit)
		w.Resume(before.State())
		for _, tt := range []struct {
			id, time uint32
			want     bool
		}{
			{1, 899, false}, {9, 899, false}, // an older count
			{1, 900, false}, {3, 900, false}, {5, 900, false}, // seen, or might have been
			{6, 900, true}, {6, 900, false}, {5, 900, false},
			{1, 901, true}, {1, 901, false}, {2, 901, true}, {6, 900, false}, // the peer started anew
		} {
			if got := w.AcceptLong(tt.id, tt.time, now); got != tt.want {
				t.Errorf("size %d: id %d of %d accepted: %v, want %v", size, tt.id, tt.time, got, tt.want)
			}
		}
		if got, want := w.State(), (State{Time: 901, ID: 2}); got != want {
			t.Errorf("size %d: state %+v, want %+v", size, got, want)
		}
	}
}

// Whatever a file holds: no panic, and what is read is written the same way.
func FuzzParseState(f *testing.F) {
	f.Add(AppendState(nil, State{Time: 1_800_000_000, ID: 7}))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := ParseState(b)
		if !ok {
			return
		}
		if again, ok := ParseState(AppendState(nil, s)); !ok || again != s {
			t.Errorf("%+v is read as %+v, %v", s, again, ok)
		}
	})
}
