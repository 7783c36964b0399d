package server

import (
	"strconv"
	"sync"

	"github.com/moongate-vpn/moongate/mgmt"
)

// class says what may happen to output that its seat does not read.
type class uint8

const (
	reply     class = iota // commands wait until it is read
	essential              // the seat is closed when there is too much
	droppable              // dropped, counted, and told about
	classes
)

// queue is the output of one seat. Many goroutines push, the seat's writer takes.
type queue struct {
	limits *Limits
	wake   chan struct{} // capacity 1; something to take, or the end
	room   chan struct{} // capacity 1; replies were written, or the end

	mu      sync.Mutex // guards all below; may be taken under Server.mu, never the other way
	items   []item
	head    int
	bytes   [classes]int // queued and under way
	lost    uint64       // lines dropped since the seat was told
	skip    bool         // dropping until half of the room is free
	closing bool         // nothing more is taken in; what is there is written
	broken  bool         // nothing is written any more
	batch   bool         // the seat's reader executes commands and will write by itself: the writer is not woken
	writing bool         // something was taken and is not written yet: nobody else may take
}

type item struct {
	b []byte
	c class
}

func newQueue(l *Limits) *queue {
	return &queue{limits: l, wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// push adds lines that belong together. It returns how many lines were dropped, and false when essential output no
// longer fits: the queue is then broken and the seat must end.
func (q *queue) push(c class, lines ...[]byte) (dropped int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closing || q.broken {
		return 0, true
	}
	n := 0
	for _, l := range lines {
		n += len(l)
	}
	switch c {
	case droppable:
		limit := q.limits.Droppable
		if q.skip {
			limit /= 2
		}
		if q.skip = q.bytes[droppable]+n > limit; q.skip {
			q.lost += uint64(len(lines))
			return len(lines), true
		}
		q.tell()
	case essential:
		if q.bytes[essential]+n > q.limits.Essential {
			q.breakUp()
			return 0, false
		}
	}
	for _, l := range lines {
		q.items = append(q.items, item{l, c})
	}
	q.bytes[c] += n
	if !q.batch {
		poke(q.wake)
	}
	return 0, true
}

// tell queues the notice about lost lines, at the place of the gap. The lock is held.
func (q *queue) tell() {
	if q.lost == 0 {
		return
	}
	b := []byte(">" + mgmt.KindNotify + ":info," + mgmt.NotifyLostLines + "," + strconv.FormatUint(q.lost, 10) + "\r\n")
	q.lost = 0
	q.items = append(q.items, item{b, droppable})
	q.bytes[droppable] += len(b)
}

// take copies whole items to buf[:0] until it is about full, and counts what it took for wrote. An item that is larger than
// buf is returned as it is: it may be shared, and must only be read.
func (q *queue) take(buf []byte, took *[classes]int) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	*took = [classes]int{}
	if q.broken || q.writing {
		return nil
	}
	if q.head == len(q.items) && !q.closing {
		q.tell()
	}
	buf = buf[:0]
	for q.head < len(q.items) {
		it := &q.items[q.head]
		if len(buf)+len(it.b) > cap(buf) {
			if len(buf) > 0 {
				break
			}
			buf = it.b
		} else {
			buf = append(buf, it.b...)
		}
		took[it.c] += len(it.b)
		it.b = nil
		q.head++
	}
	if q.head == len(q.items) {
		q.head = 0
		if cap(q.items) > 4096 {
			q.items = nil
		} else {
			q.items = q.items[:0]
		}
	} else if q.head > 4096 && q.head > len(q.items)/2 {
		q.items = append(q.items[:0], q.items[q.head:]...)
		q.head = 0
	}
	q.writing = len(buf) > 0
	return buf
}

// wrote gives back the room of what was taken.
func (q *queue) wrote(took *[classes]int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for c, n := range took {
		q.bytes[c] -= n
	}
	q.writing = false
	if q.bytes[reply] <= q.limits.Replies {
		poke(q.room)
	}
}

// begin tells that the seat's reader executes commands, and end that it is done: what it did not write by itself is left to
// the writer.
func (q *queue) begin() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.batch = true
}

// It reports whether the reader did so.
func (q *queue) end() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.batch
	q.batch = false
	if q.head < len(q.items) || q.lost > 0 || q.closing {
		poke(q.wake)
	}
	return was
}

// done reports whether the end has come and everything is written. What another goroutine is writing has to be waited for, and
// then looked at again: more may have been queued behind it.
func (q *queue) done() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closing && !q.writing && q.head == len(q.items)
}

// full reports whether the seat has to read replies before it may ask more.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes[reply] > q.limits.Replies && !q.broken && !q.closing
}

// finish ends the queue: what is there is still written.
func (q *queue) finish() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closing = true
	poke(q.wake)
	poke(q.room)
}

// fail ends the queue: nothing is written any more.
func (q *queue) fail() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.breakUp()
}

// breakUp is fail with the lock held.
func (q *queue) breakUp() {
	q.broken = true
	q.items, q.head = nil, 0
	poke(q.wake)
	poke(q.room)
}

// state tells the writer whether the end came, and how.
func (q *queue) state() (closing, broken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closing, q.broken
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
