package replay

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1_700_000_000, 0)

func TestAccept(t *testing.T) {
	type step struct {
		id    uint64
		after time.Duration
		want  bool
	}
	tests := []struct {
		name  string
		size  int
		limit time.Duration
		steps []step
	}{
		{"in order", 64, DefaultLimit, []step{{1, 0, true}, {2, 0, true}, {3, 0, true}}},
		{"zero is invalid", 64, DefaultLimit, []step{{0, 0, false}, {1, 0, true}, {0, 0, false}}},
		{"repeated", 64, DefaultLimit, []step{{5, 0, true}, {5, 0, false}, {4, 0, true}, {4, 0, false}}},
		{"edge of the window", 64, DefaultLimit, []step{{100, 0, true}, {37, 0, true}, {36, 0, false}}},
		{"an odd size is exact", 10, DefaultLimit, []step{{100, 0, true}, {91, 0, true}, {90, 0, false}}},
		{"jump beyond the window", 64, DefaultLimit, []step{{1, 0, true}, {1 << 40, 0, true}, {2, 0, false}, {1<<40 - 1, 0, true}}},
		{"jump of one round", 64, DefaultLimit, []step{{1, 0, true}, {65, 0, true}, {2, 0, true}, {66, 0, true}, {2, 0, false}, {3, 0, true}}},
		{"late, within the limit", 64, 15 * time.Second, []step{{2, 0, true}, {1, 15 * time.Second, true}}},
		{"late, past the limit", 64, 15 * time.Second, []step{{2, 0, true}, {1, 16 * time.Second, false}}},
		{
			"only later ids count", 64, 15 * time.Second,
			[]step{{2, 0, true}, {9, 10 * time.Second, true}, {5, 20 * time.Second, true}, {1, 20 * time.Second, false}, {6, 26 * time.Second, false}},
		},
		{"no limit", 64, 0, []step{{2, 0, true}, {1, time.Hour, true}}},
		{"size 0 is strict", 0, DefaultLimit, []step{{1, 0, true}, {3, 0, false}, {2, 0, true}, {2, 0, false}, {3, 0, true}}},
		{"size 1", 1, DefaultLimit, []step{{5, 0, true}, {5, 0, false}, {4, 0, false}, {6, 0, true}}},
		{"last id", 64, DefaultLimit, []step{{^uint64(0), 0, true}, {^uint64(0), 0, false}, {^uint64(0) - 1, 0, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := New(tt.size, tt.limit)
			for i, s := range tt.steps {
				if got := w.Accept(s.id, start.Add(s.after)); got != s.want {
					t.Errorf("step %d, id %d: %v, want %v", i, s.id, got, s.want)
				}
			}
		})
	}
}

func TestAcceptLong(t *testing.T) {
	w := New(64, DefaultLimit)
	for i, s := range []struct {
		id, time uint32
		want     bool
	}{
		{1, 1000, true},
		{1, 1000, false},
		{0, 2000, false}, // and does not restart the window
		{0x0f000001, 1000, true},
		{2, 1000, false},
		{1, 1001, true}, // a later time restarts
		{1, 1001, false},
		{0x0f000002, 1000, false}, // an earlier one is a replay
		{2, 1001, true},
	} {
		if got := w.AcceptLong(s.id, s.time, start); got != s.want {
			t.Errorf("step %d, id %d of %d: %v, want %v", i, s.id, s.time, got, s.want)
		}
	}
}

func TestCheckChangesNothing(t *testing.T) {
	w := New(64, DefaultLimit)
	for range 2 {
		if !w.Check(7, start) || !w.CheckLong(7, 9, start) {
			t.Fatal("a check marked the id")
		}
	}
	if w.Highest() != 0 {
		t.Errorf("highest is %d", w.Highest())
	}
}

// model is the rule word for word, with a map and all receive times.
type model struct {
	size  uint64
	limit int64
	seen  map[uint64]int64 // id to second
	top   uint64
}

func (m *model) accept(id uint64, second int64) bool {
	if id == 0 {
		return false
	}
	if _, dup := m.seen[id]; dup {
		return false
	}
	if m.size == 0 && id != m.top+1 {
		return false
	}
	if id < m.top {
		if m.top-id >= m.size {
			return false
		}
		for later, when := range m.seen {
			if m.limit > 0 && later > id && second-when > m.limit {
				return false
			}
		}
	}
	m.seen[id] = second
	m.top = max(m.top, id)
	return true
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{0, 1, 2, 10, 63, 64, 65, 100, 128, 1000}).Draw(t, "size")
		limit := rapid.IntRange(0, 5).Draw(t, "limit")
		w := New(size, time.Duration(limit)*time.Second)
		m := &model{size: uint64(size), limit: int64(limit), seen: map[uint64]int64{}}
		now := start
		for i := range rapid.IntRange(1, 300).Draw(t, "packets") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 300, 1000, 2500}).Draw(t, "ms")) * time.Millisecond)
			// Around the edges of the window, where mistakes live, and sometimes far ahead.
			step := rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64Range(-int64(size)-2, int64(size)+2)).Draw(t, "step")
			id := uint64(max(int64(m.top)+step, 0))
			want := m.accept(id, w.second(now))
			if got := w.Accept(id, now); got != want {
				t.Fatalf("packet %d, id %d, highest %d: %v, want %v", i, id, m.top, got, want)
			}
		}
	})
}

func TestAllocs(t *testing.T) {
	w := New(MaxSize, MaxLimit)
	id, now := uint64(0), start
	if n := testing.AllocsPerRun(1000, func() {
		id += 3
		now = now.Add(time.Second)
		w.Accept(id, now)
		w.Accept(id-1, now)
		w.AcceptLong(uint32(id), 0, now)
	}); n != 0 {
		t.Errorf("allocates %v times", n)
	}
}

func BenchmarkAccept(b *testing.B) {
	for _, size := range []int{64, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := New(size, DefaultLimit)
			var id uint64
			for b.Loop() {
				id++
				w.Accept(id, start)
			}
		})
	}
}
