package server

import (
	"strconv"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// countBytes reports byte counts to each seat at its own interval, until the server is closed. The counters come from the
// Controller: one look serves all seats that are due.
func (s *Server) countBytes() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait, due := s.countsDue(s.cfg.Now())
		if len(due) > 0 {
			report := s.count()
			s.mu.Lock()
			for _, st := range due {
				if lines := report.since(st.counted, s.protocol() >= 6); st.attached && len(lines) > 0 {
					s.push(st, droppable, lines...)
				}
				st.counted = report.counters
			}
			s.mu.Unlock()
			continue
		}
		timer.Reset(wait)
		select {
		case <-s.done:
			return
		case <-s.counts.wake:
		case <-timer.C:
		}
	}
}

// countsDue returns the seats that are due now, with their next time set, and how long to wait if there are none.
func (s *Server) countsDue(now time.Time) (wait time.Duration, due []*seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = time.Hour
	for _, st := range s.seats {
		switch {
		case st.every <= 0:
		case now.Before(st.next):
			wait = min(wait, st.next.Sub(now))
		default:
			due = append(due, st)
			if st.next = st.next.Add(st.every); !st.next.After(now) {
				st.next = now.Add(st.every) // the clock jumped or we were late: no burst
			}
		}
	}
	return wait, due
}

// counters are byte counts by client id; a client instance has one, under 0. They are never changed.
type counters map[uint64]mgmt.ByteCount

// byteReport are the counters of one moment and their lines in the engine's order.
type byteReport struct {
	counters
	ids   []uint64
	lines [][]byte
}

// since returns the lines of the counters that moved since then, or of all: 2.6 does not report a silent connection.
func (r *byteReport) since(then counters, all bool) (lines [][]byte) {
	for i, id := range r.ids {
		if all || then[id] != r.counters[id] {
			lines = append(lines, r.lines[i])
		}
	}
	return lines
}

func (r *byteReport) add(id uint64, n mgmt.ByteCount, head []byte) {
	r.ids = append(r.ids, id)
	r.counters[id] = n
	r.lines = append(r.lines, append(n.Append(head), '\r', '\n'))
}

// count asks the engine.
func (s *Server) count() *byteReport {
	r := &byteReport{counters: make(counters)}
	if ctl := s.cfg.Controller.Client(); ctl != nil {
		if n, ok := ctl.Traffic(); ok {
			r.add(0, n, []byte(">"+mgmt.KindByteCount+":"))
		}
		return r
	}
	if ctl := s.cfg.Controller.Server(); ctl != nil {
		ctl.Traffic(func(cid uint64, n mgmt.ByteCount) {
			r.add(cid, n, append(strconv.AppendUint([]byte(">"+mgmt.KindByteCountClient+":"), cid, 10), ','))
		})
	}
	return r
}
