package session

import (
	"errors"
	"time"
)

// Verifiers is a set of verifiers of a login.
type Verifiers uint8

// The verifiers.
const (
	Port   Verifiers = 1 << iota // the management port
	Script                       // a script of the configuration
)

// ErrOverdue refuses a login that was not decided in time.
var ErrOverdue = errors.New("no decision in time")

// loginState is how far the login of one key has come.
//
//	           Ask
//	unclaimed ─────► asked ──────── all verdicts accept ───────► accepted
//	    │             │  │ Defer, or only the port is left          ▲  │
//	    │             │  └──► deferred ──── all verdicts accept ────┘  │ Refuse
//	    │             │           │                                    ▼
//	    └─── Refuse ──┴───────────┴─── Refuse, or the limit passes ─► refused
//
// A verdict about a login that is decided is ignored. The key becomes active on its own, before or after that:
//
//	            asked     deferred      accepted                        refused
//	key active  -         Introduced    Introduced, key in use,         TurnedAway
//	                                    Admitted
//	key failed  -         -             -                               TurnedAway
//
// A renewed key is in use as soon as its login is accepted: the peer may send with it when it has our key message. A peer that
// keeps a refused key from getting active does not stay with the one before.
type loginState uint8

const (
	unclaimed loginState = iota
	asked
	deferred
	accepted
	refused
)

// login is the authentication of one key.
type login struct {
	id     uint64 // counts the logins of the session; 0: the key has none yet
	state  loginState
	out    Verifiers // whose verdicts are out
	limit  time.Time // when they are overdue
	why    error     // of a refusal
	late   bool      // Deferred was emitted; kept in the states that follow
	answer answering

	active     bool // the key is
	over       bool // the key failed, or its time is up
	introduced bool
	installed  bool // the data channel has the key: a second time would start its packet ids anew
	started    time.Time
}

// answering is how far a further step of a login has come.
//
//	not announced ── Extend ──► announced ── TakeAnswer ──► examined ── AnswerTaken ──► announced
type answering uint8

const (
	notAnnounced answering = iota
	announced
	examined
)

// undecided reports whether verdicts still count.
func (l *login) undecided() bool { return l.state == asked || l.state == deferred }

// login is the login of a key. Few of the ids are in use at once.
func (s *Session) login(keyID uint8) *login {
	if s.logins[keyID] == nil {
		s.logins[keyID] = new(login)
	}
	return s.logins[keyID]
}

// find returns the login with a number, and its key id; nil when its key is gone.
func (s *Session) find(id uint64) (*login, uint8) {
	if id == 0 {
		return nil, 0
	}
	for k, l := range s.logins {
		if l != nil && l.id == id {
			return l, uint8(k)
		}
	}
	return nil, 0
}

// Login is the number of the newest login, 0 before the first.
func (s *Session) Login() uint64 { return s.newest }

// Key is the key id of a login, while it is that login's.
func (s *Session) Key(id uint64) (keyID uint8, ok bool) {
	l, k := s.find(id)
	return k, l != nil
}

// Renewed reports whether a key after the first one got as far as a login.
func (s *Session) Renewed() bool { return s.renewed }

// Undecided reports whether the newest login waits to be accepted.
func (s *Session) Undecided() bool {
	l, _ := s.find(s.newest)
	return l != nil && l.state != accepted
}

// claim opens the login of a key.
func (s *Session) claim(keyID uint8) uint64 {
	s.newest++
	s.renewed = s.renewed || keyID > 0
	s.login(keyID).id = s.newest
	return s.newest
}

// Ask starts to wait for verdicts about a login, until limit.
func (s *Session) Ask(id uint64, who Verifiers, limit time.Time) {
	l, _ := s.find(id)
	if l == nil || l.state != unclaimed {
		return
	}
	l.state, l.out, l.limit = asked, who, limit
	s.everAsked |= who
	s.deferIfPort(l)
}

// Asked is the set of verifiers that were asked about any login of the session.
func (s *Session) Asked() Verifiers { return s.everAsked }

// deferIfPort defers a login that only the management port has not decided about.
func (s *Session) deferIfPort(l *login) {
	if l.out == Port {
		s.Defer(l.id)
	}
}

// Defer notes that the verdict about a login comes later.
func (s *Session) Defer(id uint64) {
	l, k := s.find(id)
	if l == nil || l.state != asked {
		return
	}
	l.state, l.late = deferred, true
	s.emit(Deferred{k})
	s.settle(l, k)
}

// Decides reports whether only by has not accepted a login yet.
func (s *Session) Decides(id uint64, by Verifiers) bool {
	l, _ := s.find(id)
	return l != nil && (l.state == unclaimed || l.undecided()) && l.out&^by == 0
}

// Verdict takes the answer of by about a login: nil accepts. All verifiers that were asked have to accept. A login without
// verifiers is accepted by a verdict of 0.
func (s *Session) Verdict(id uint64, by Verifiers, err error, now time.Time) {
	l, k := s.find(id)
	if l == nil || l.state == accepted || l.state == refused {
		return
	}
	if err != nil {
		s.Refuse(id, err)
		return
	}
	if l.out &^= by; l.out != 0 {
		s.deferIfPort(l)
		return
	}
	l.state = accepted
	s.emit(Accepted{KeyID: k, Deferred: l.late})
	if k > 0 && !l.active && !l.over {
		l.started = now
		s.use(k)
	}
	s.settle(l, k)
}

// Refuse turns a login down, also one that was accepted. It reports whether the login was not refused before.
func (s *Session) Refuse(id uint64, why error) bool {
	l, k := s.find(id)
	if l == nil || l.state == refused {
		return false
	}
	l.state, l.why = refused, why
	s.emit(Refused{KeyID: k, Why: why, Deferred: l.late})
	s.settle(l, k)
	return true
}

// Reject turns away the peer, whose first login was accepted: there is another reason not to let it in.
func (s *Session) Reject(why error) {
	l := s.login(0)
	l.state, l.why = refused, why
	s.emit(TurnedAway{0, why})
}

// settle emits what follows from the states of a login and its key.
func (s *Session) settle(l *login, k uint8) {
	switch {
	case !l.active && l.over && l.state == refused && k > 0:
		s.emit(TurnedAway{k, l.why})
		return
	case !l.active:
		return
	case !s.cfg.Logins:
		if k > 0 {
			s.use(k)
		}
		return
	}
	if !l.introduced && (l.late || l.state == accepted) {
		l.introduced = true
		s.emit(Introduced{KeyID: k, Accepted: l.state == accepted})
	}
	switch l.state {
	case accepted:
		if k == 0 || s.use(k) {
			s.emit(Admitted{k})
		}
	case refused:
		s.emit(TurnedAway{k, l.why})
	}
}

// Extend gives an undecided login more time, for a further step that the engine announces to the peer. It returns how much
// it gave: no more than the key's age leaves.
func (s *Session) Extend(id uint64, timeout time.Duration, now time.Time) (granted time.Duration, ok bool) {
	l, _ := s.find(id)
	if l == nil {
		return 0, false
	}
	granted = max(0, min(timeout, s.MostPatience()-s.KeyAge(now)))
	l.limit, l.answer = now.Add(granted), announced
	return granted, true
}

// AwaitsAnswer reports whether an answer of the peer counts: the newest login is undecided, a further step was announced, and
// no answer to it is being looked at.
func (s *Session) AwaitsAnswer() bool {
	l, _ := s.find(s.newest)
	return l != nil && l.undecided() && l.answer == announced && s.leaving.why == Stays
}

// TakeAnswer starts to look at an answer: until AnswerTaken no other one counts.
func (s *Session) TakeAnswer() {
	if l, _ := s.find(s.newest); l != nil {
		l.answer = examined
	}
}

// AnswerTaken ends the look at an answer to a login.
func (s *Session) AnswerTaken(id uint64) {
	if l, _ := s.find(id); l != nil {
		l.answer = announced
	}
}

// overdue refuses the logins that were not decided in time, and returns when the next one is due. Without a verdict the login of
// a key that failed changes nothing.
func (s *Session) overdue(now time.Time) (next time.Time) {
	for _, l := range s.logins {
		switch {
		case l == nil || !l.undecided() || l.over && !l.active:
		case now.After(l.limit):
			s.Refuse(l.id, ErrOverdue)
		default:
			next = Earliest(next, l.limit.Add(1))
		}
	}
	return next
}
