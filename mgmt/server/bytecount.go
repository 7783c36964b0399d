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
			lines := s.countLines()
			s.mu.Lock()
			for _, st := range due {
				if st.attached && len(lines) > 0 {
					s.push(st, droppable, lines...)
				}
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

// countLines formats the present counters, a line for each client of a server.
func (s *Server) countLines() (lines [][]byte) {
	if ctl := s.cfg.Controller.Client(); ctl != nil {
		if n, ok := ctl.Traffic(); ok {
			b := n.Append([]byte(">" + mgmt.KindByteCount + ":"))
			lines = append(lines, append(b, '\r', '\n'))
		}
		return lines
	}
	if ctl := s.cfg.Controller.Server(); ctl != nil {
		ctl.Traffic(func(cid uint64, n mgmt.ByteCount) {
			b := strconv.AppendUint([]byte(">"+mgmt.KindByteCountClient+":"), cid, 10)
			lines = append(lines, append(n.Append(append(b, ',')), '\r', '\n'))
		})
	}
	return lines
}
