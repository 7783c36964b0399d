package server

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// door is what the connections of one listener share: crowding or guessing at one does not shut another.
type door struct {
	wrong attempts

	mu        sync.Mutex // guards all below; may be taken under Server.mu, never the other way
	strangers []*seat    // connections that are not seats yet, the oldest first
	seats     int        // connections that are
	told      time.Time
	untold    int // strangers turned away since told
}

// ErrRefused is what a session ends with when its client was not let in.
var ErrRefused = errors.New("management client refused")

// refusalsEvery is how often a listener logs that it turned strangers away: they can cause as many as they like.
const refusalsEvery = 10 * time.Second

// enter lets a stranger in. Where there are too many, the oldest one goes, of the address that has most of them: silent
// connections keep nobody out, and a flood from one address leaves the others their time.
func (s *Server) enter(st *seat) error {
	select {
	case <-s.done:
		return ErrClosed
	default:
	}
	in := st.door
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.strangers) >= s.cfg.Limits.Strangers {
		old := in.crowd()
		in.remove(old)
		old.abort("")
		in.untold++
	}
	in.strangers = append(in.strangers, st)
	return nil
}

// crowd is the oldest stranger of the address with most of them. The lock is held.
func (in *door) crowd() *seat {
	count := make(map[string]int)
	for _, st := range in.strangers {
		count[st.from]++
	}
	worst := in.strangers[0]
	for _, st := range in.strangers {
		if count[st.from] > count[worst.from] {
			worst = st
		}
	}
	return worst
}

// remove takes a stranger out, if it still is one. The lock is held.
func (in *door) remove(st *seat) {
	if i := slices.Index(in.strangers, st); i >= 0 {
		in.strangers = slices.Delete(in.strangers, i, i+1)
	}
}

// leave takes out a connection that became a seat, or ended.
func (in *door) leave(st *seat) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.remove(st)
}

// addSeat counts a seat, or reports that there are limit of them.
func (in *door) addSeat(limit int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.seats >= limit {
		return false
	}
	in.seats++
	return true
}

// dropSeat counts a seat out.
func (in *door) dropSeat() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.seats--
}

// logTurnedAway logs the strangers that had to go, now and then.
func (s *Server) logTurnedAway(in *door) {
	now := s.cfg.Now()
	in.mu.Lock()
	n := in.untold
	if n > 0 && now.Sub(in.told) < refusalsEvery && !in.told.IsZero() {
		n = 0
	}
	if n > 0 {
		in.told, in.untold = now, 0
	}
	in.mu.Unlock()
	if n == 0 {
		return
	}
	s.logf(1, mgmt.FlagWarning, "MANAGEMENT: too many connections wait for their password or certificate, "+string(appendInt(nil, n))+" ended")
}

// origin is what connections of one client share: the address of its host.
func origin(conn net.Conn) string {
	if host, _, err := net.SplitHostPort(conn.RemoteAddr().String()); err == nil {
		return host
	}
	return ""
}
