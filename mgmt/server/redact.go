package server

import (
	"bytes"

	"github.com/moongate-vpn/moongate/mgmt"
)

// secretMarks begin what a login step tells the one who logs in: where to confirm it, a challenge and its state, an answer. The
// engines log and hand on such texts whole, and a reader of one could finish the login. Seats that may not decide about
// logins see the mark and nothing behind it.
var secretMarks = [...][]byte{
	[]byte("WEB_AUTH:"), []byte("OPEN_URL:"), []byte("CR_TEXT:"), []byte("CRV1:"), []byte("CR_RESPONSE,"), []byte("SCRV1:"), []byte("SESS_ID_AT_"),
}

// redacted stands for the rest of a line.
const redacted = "[...]"

// maySee reports whether a seat sees credentials.
func (st *seat) maySee() bool { return st.role.May(mgmt.RoleAuth) }

// newEntry makes both forms of a line that ends in CR LF. Behind the first mark the open one ends.
func newEntry(line []byte) entry {
	at := -1
	for _, mark := range secretMarks {
		if i := bytes.Index(line, mark); i >= 0 && (at < 0 || i+len(mark) < at) {
			at = i + len(mark)
		}
	}
	if at < 0 {
		return shown(line)
	}
	return entry{line, append(append(bytes.Clone(line[:at]), redacted...), '\r', '\n')}
}

// head is the entry behind a prefix.
func (e entry) head(prefix string) entry {
	whole := append(append(make([]byte, 0, len(prefix)+len(e.whole)), prefix...), e.whole...)
	if &e.whole[0] == &e.open[0] {
		return entry{whole, whole}
	}
	return entry{whole, append([]byte(prefix), e.open...)}
}

// fanoutEntry pushes a line to all seats that want it, each in its form, all for nil. The lock is held.
func (s *Server) fanoutEntry(c class, e entry, want func(*seat) bool) {
	for _, st := range s.seats {
		if want == nil || want(st) {
			s.push(st, c, e.line(st.maySee()))
		}
	}
}
