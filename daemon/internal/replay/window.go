// Package replay keeps sliding windows of packet ids, so that a packet that was authenticated once is accepted once.
//
// An id above the highest so far is accepted and moves the window; one inside the window is accepted if it was not
// seen and no more than the time limit has passed since later ids came; one below is refused, and so is id 0. In the
// long form (control wrapping, static keys, CFB and OFB) the sender's time is the major part of the id: a larger
// time restarts the window, a smaller one is a replay.
//
// Test an id only after the packet proved authentic, or any host can move the window.
//
// Rule: docs/protocol.md#57-replay-protection.
package replay

import (
	"math/bits"
	"time"
)

// Defaults and limits of the option replay-window.
const (
	DefaultSize  = 64
	DefaultLimit = 15 * time.Second
	MaxSize      = 65536
	MaxLimit     = 600 * time.Second
)

// Window remembers which of the last ids were seen. It has one owner and no locks, and allocates nothing after New.
type Window struct {
	size    uint64 // ids the window spans; 0 asks for strictly consecutive ids
	highest uint64 // largest id accepted, 0 before the first
	time    uint32 // long form: the sender's time the window belongs to
	seen    []uint64

	// Ids at or below floor came too late: a larger id was received more than limit ago. trail tells for each of
	// the last seconds which id was the highest in it, oldest first, in a ring. A second has one entry at most, so
	// that limit+2 entries are enough.
	limit int64     // seconds
	began time.Time // seconds count from here: the first time seen
	floor uint64
	trail []mark
	first int
	used  int
}

type mark struct {
	second  int64
	highest uint64
}

// New makes a window over size ids (0..MaxSize) with a time limit, counted in whole seconds; 0 or less means none.
// Values beyond MaxSize and MaxLimit are cut.
func New(size int, limit time.Duration) *Window {
	size = min(max(size, 0), MaxSize)
	w := &Window{size: uint64(size), limit: int64(min(limit, MaxLimit) / time.Second)}
	// A power of two, so that an id finds its bit by its lower bits and no id of the window shares one.
	words := (size + 63) / 64
	if words > 0 {
		w.seen = make([]uint64, 1<<bits.Len(uint(words-1)))
	}
	if w.limit > 0 {
		w.trail = make([]mark, w.limit+2)
	}
	return w
}

// Accept tests a short id and, if it is good, marks it as seen.
func (w *Window) Accept(id uint64, now time.Time) bool {
	if !w.Check(id, now) {
		return false
	}
	w.commit(id, now)
	return true
}

// Check tests a short id without marking it.
func (w *Window) Check(id uint64, now time.Time) bool {
	if id == 0 {
		return false
	}
	if w.size == 0 {
		return id == w.highest+1
	}
	if id > w.highest {
		return true
	}
	if w.highest-id >= w.size || w.has(id) {
		return false
	}
	w.expire(now)
	return id > w.floor
}

// AcceptLong tests a long id, time<<32 | id, and, if it is good, marks it as seen.
func (w *Window) AcceptLong(id, senderTime uint32, now time.Time) bool {
	if !w.CheckLong(id, senderTime, now) {
		return false
	}
	if senderTime != w.time {
		w.Reset()
		w.time = senderTime
	}
	w.commit(uint64(id), now)
	return true
}

// CheckLong tests a long id without marking it.
func (w *Window) CheckLong(id, senderTime uint32, now time.Time) bool {
	switch {
	case id == 0 || senderTime < w.time:
		return false
	case senderTime > w.time:
		return true // a new count starts, and where is the sender's choice
	default:
		return w.Check(uint64(id), now)
	}
}

// Reset forgets everything seen.
func (w *Window) Reset() {
	clear(w.seen)
	w.highest, w.time, w.floor, w.first, w.used = 0, 0, 0, 0, 0
}

// Highest is the largest id accepted, 0 before the first.
func (w *Window) Highest() uint64 { return w.highest }

func (w *Window) commit(id uint64, now time.Time) {
	if id > w.highest {
		w.forget(w.highest+1, id)
		w.highest = id
		w.remember(id, now)
	}
	if w.size > 0 {
		word, bit := w.place(id)
		w.seen[word] |= bit
	}
}

func (w *Window) has(id uint64) bool {
	word, bit := w.place(id)
	return w.seen[word]&bit != 0
}

func (w *Window) place(id uint64) (word int, bit uint64) {
	return int(id / 64 & uint64(len(w.seen)-1)), 1 << (id % 64)
}

// forget clears the bits of ids from..to, which still belong to ids one round earlier.
func (w *Window) forget(from, to uint64) {
	if w.size == 0 {
		return
	}
	if to-from >= uint64(len(w.seen))*64-1 {
		clear(w.seen)
		return
	}
	for id := from; id <= to; {
		if id%64 == 0 && to-id >= 63 {
			word, _ := w.place(id)
			w.seen[word] = 0
			id += 64
			continue
		}
		word, bit := w.place(id)
		w.seen[word] &^= bit
		id++
	}
}

// remember notes that id became the highest now. Time running backwards counts as standing still.
func (w *Window) remember(id uint64, now time.Time) {
	if w.limit <= 0 || w.size == 0 {
		return
	}
	w.expire(now)
	second := w.second(now)
	if w.used > 0 {
		last := &w.trail[(w.first+w.used-1)%len(w.trail)]
		if second <= last.second {
			last.highest = id
			return
		}
	}
	w.trail[(w.first+w.used)%len(w.trail)] = mark{second, id}
	w.used++
}

// expire moves the floor up to what was the highest id more than limit ago.
func (w *Window) expire(now time.Time) {
	oldest := w.second(now) - w.limit
	for w.used > 0 && w.trail[w.first].second < oldest {
		w.floor = w.trail[w.first].highest
		w.first = (w.first + 1) % len(w.trail)
		w.used--
	}
}

// second is a time in seconds, which follow the monotonic clock when times do: a step of the system's clock makes no id late.
func (w *Window) second(now time.Time) int64 {
	if w.began.IsZero() {
		w.began = now
	}
	return int64(now.Sub(w.began) / time.Second)
}
