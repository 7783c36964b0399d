package server

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// door is shared by the connections of one listener: crowding or guessing at one does not shut another.
type door struct {
	wrong attempts

	mu         sync.Mutex // guards all below; may be taken under Server.mu, never the other way
	preLogin   []*seat    // connections without the password yet, the oldest first
	seats      int        // connections with it
	reported   time.Time
	unreported int // turned away since the last line about it
}

// ErrRefused ends the session of a client that was not let in.
var ErrRefused = errors.New("management client refused")

// refusalsEvery is how often a listener logs that it turned connections away: peers can cause as many as they like.
const refusalsEvery = 10 * time.Second

// enter takes a connection in. Where there are too many, the oldest one goes, of the address that has most of them: silent
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
	if len(in.preLogin) >= s.cfg.Limits.PreLogin {
		old := in.crowd()
		in.remove(old)
		old.abort("")
		in.unreported++
	}
	in.preLogin = append(in.preLogin, st)
	return nil
}

// crowd is the oldest of the address with most connections without the password. The lock is held.
func (in *door) crowd() *seat {
	count := make(map[string]int)
	for _, st := range in.preLogin {
		count[st.from]++
	}
	worst := in.preLogin[0]
	for _, st := range in.preLogin {
		if count[st.from] > count[worst.from] {
			worst = st
		}
	}
	return worst
}

// remove takes a connection out, if it still has no password. The lock is held.
func (in *door) remove(st *seat) {
	if i := slices.Index(in.preLogin, st); i >= 0 {
		in.preLogin = slices.Delete(in.preLogin, i, i+1)
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

// logTurnedAway logs now and then how many connections had to go.
func (s *Server) logTurnedAway(in *door) {
	now := s.cfg.Now()
	in.mu.Lock()
	n := in.unreported
	if n > 0 && now.Sub(in.reported) < refusalsEvery && !in.reported.IsZero() {
		n = 0
	}
	if n > 0 {
		in.reported, in.unreported = now, 0
	}
	in.mu.Unlock()
	if n == 0 {
		return
	}
	s.logf(1, mgmt.FlagWarning, "MANAGEMENT: too many connections wait for their password or certificate, "+string(appendInt(nil, n))+" ended")
}

// origin is the address of the host that a connection comes from.
func origin(conn net.Conn) string {
	if host, _, err := net.SplitHostPort(conn.RemoteAddr().String()); err == nil {
		return host
	}
	return ""
}
