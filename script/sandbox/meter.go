package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Errors that end what runs.
var (
	ErrBurst  = errors.New("too much processor time without a pause")
	ErrMemory = errors.New("too much memory")
	ErrFiles  = errors.New("too much time at files without a pause")
)

// Limits bound what a state may take. Zero means no bound.
type Limits struct {
	Burst  time.Duration // processor time between Begin and End
	Memory int64         // bytes of Lua's data
	// Shared tells that the process does other things beside the script, so that its heap alone proves nothing.
	Shared bool
}

// Meter bounds a state. It is the context of the state and of all its coroutines: gopher-lua asks a context whether it is done
// before each instruction, and that is where the meter looks at the clock and at the heap. Functions written in Go
// announce work that takes longer than an instruction by Spend.
//
// A meter that has run out makes every further instruction fail, so that no pcall, error handler or coroutine carries on.
//
// All methods but Interrupt belong to the goroutine that runs the state. The meter is not for waiting: its channel never wakes anyone.
type Meter struct {
	limits Limits
	heap   heap

	credit int   // instructions before the next look
	err    error // why everything ends; nil while there is time

	running  bool          // in a burst
	began    time.Time     // of the burst
	cpu      time.Duration // of the process at began; 0: not taken yet
	looked   time.Time     // at the heap
	lookedAt time.Time     // at the clock
	work     int           // in instructions since then
	blocked  time.Duration // in the burst, at files
	cause    atomic.Pointer[error]
	nesting  int // coroutines in coroutines
}

const (
	between   = 16                   // instructions between two looks at the clock
	slow      = 2 * time.Millisecond // when these took longer, as single ones can work on megabytes, each is looked at
	perCredit = 2 << 10              // bytes that a function in Go touches in the time of an instruction
	heapEvery = time.Millisecond
	heapWork  = 1_000 // or after as many instructions, announced work included: what comes first
	filesTime = time.Second
)

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// newMeter returns a meter that counts from Begin on.
func newMeter(l Limits) *Meter {
	m := &Meter{limits: l}
	m.heap.init(l)
	return m
}

// SetSize gives the meter a function that measures the script's own data, for a shared process.
func (m *Meter) SetSize(size func() int64) { m.heap.size = size }

// Begin starts a burst.
func (m *Meter) Begin() {
	m.credit, m.err, m.running = between, nil, true
	m.began, m.cpu, m.blocked = time.Now(), 0, 0
	m.lookedAt = m.began
	m.heap.began = false
}

// End ends a burst and returns how long it took.
func (m *Meter) End() time.Duration {
	m.running = false
	return time.Since(m.began)
}

// Spend announces that a function in Go touched so many bytes.
func (m *Meter) Spend(bytes int) { m.credit -= bytes / perCredit }

// Spent is Spend followed by a look: false when the function has to stop.
func (m *Meter) Spent(bytes int) bool {
	m.Spend(bytes)
	return m.credit > 0 || !m.over()
}

// Blocked announces that a function in Go waited so long for a disk: such a wait takes no processor time, and holds up the script's other
// handlers all the same.
func (m *Meter) Blocked(d time.Duration) {
	m.blocked += d
	if m.blocked > filesTime {
		m.credit = 0
	}
}

// Interrupt ends the running burst from another goroutine. Begin does not forget it.
func (m *Meter) Interrupt(err error) { m.cause.Store(&err) }

// Done implements context.Context: it is asked before every instruction.
func (m *Meter) Done() <-chan struct{} {
	if m.credit--; m.credit > 0 {
		return nil
	}
	if m.over() {
		return closed
	}
	return nil
}

// Err implements context.Context.
func (m *Meter) Err() error { return m.err }

// Deadline implements context.Context.
func (m *Meter) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context.
func (m *Meter) Value(any) any { return nil }

var _ context.Context = (*Meter)(nil)

// over reports whether the burst may not go on. Then nothing does: a pcall on the way out would else have a few instructions.
func (m *Meter) over() bool {
	if m.look() == nil {
		return false
	}
	m.credit = 0
	return true
}

// look decides whether the burst may go on.
func (m *Meter) look() error {
	if !m.running {
		return nil
	}
	if m.err != nil {
		return m.err
	}
	m.work += between - m.credit // more than usual after Spend
	m.credit = between
	now := time.Now()
	if now.Sub(m.lookedAt) > slow {
		m.credit = 1
	}
	m.lookedAt = now
	if c := m.cause.Load(); c != nil {
		m.err = *c
		return m.err
	}
	if m.cpu == 0 && now.Sub(m.began) > m.limits.Burst/8 {
		m.cpu = max(1, processTime()-now.Sub(m.began))
	}
	if m.limits.Burst > 0 && now.Sub(m.began) > m.limits.Burst && m.busy() {
		m.err = fmt.Errorf("%w (%v)", ErrBurst, m.limits.Burst)
		return m.err
	}
	if m.limits.Burst > 0 && m.blocked > filesTime {
		m.err = fmt.Errorf("%w (%v)", ErrFiles, filesTime)
		return m.err
	}
	if m.limits.Memory > 0 && (now.Sub(m.looked) >= heapEvery || m.work > heapWork) {
		m.looked, m.work = now, 0
		if m.heap.over() {
			m.err = fmt.Errorf("%w (%d MiB)", ErrMemory, m.limits.Memory>>20)
		}
	}
	return m.err
}

// busy reports whether the process used the processor for the whole of the burst: on a crowded machine it may have waited for
// its turn. The time of the process is taken when an eighth of the burst is over: short bursts do without the system call.
func (m *Meter) busy() bool { return m.cpu == 0 || processTime()-m.cpu > m.limits.Burst }

// Over reports, between two bursts, whether the state still holds more than its memory.
func (m *Meter) Over() bool { return m.limits.Memory > 0 && m.heap.holds() > m.limits.Memory }

// Memory counts the bytes that the state holds, as far as is known without counting.
func (m *Meter) Memory() int64 { return m.heap.known() }
