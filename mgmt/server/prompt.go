package server

import (
	"context"
	"errors"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// ErrClosed ends prompts when the server is closed.
var ErrClosed = errors.New("management interface closed")

// promptKind tells which commands answer a prompt.
type promptKind uint8

const (
	askHold promptKind = iota
	askSecret
	askOK
	askString
	askRemote
	askProxy
	askCertificate
	askSign
)

// notification is the kind of the line that shows a prompt.
func (k promptKind) notification() string {
	return [...]string{
		askHold: mgmt.KindHold, askSecret: mgmt.KindPassword, askOK: mgmt.KindNeedOK, askString: mgmt.KindNeedStr,
		askRemote: mgmt.KindRemote, askProxy: mgmt.KindProxy, askCertificate: mgmt.KindNeedCertificate, askSign: mgmt.KindPKSign,
	}[k]
}

// prompt is a question that waits for an answer. It is guarded by Server.mu until done is closed.
type prompt struct {
	kind promptKind
	typ  string // of a secret, needok, needstr; empty otherwise
	line func(*seat) []byte
	need mgmt.Role // what an answer needs, for "nobody can answer"

	// A user name and a password may come in any order and be changed until both are there. Each seat fills in its own
	// pair; what a seat that left had given serves the next seat.
	user, pass bool // what is asked
	given      map[*seat]*pair
	left       pair

	tcp bool // askProxy: the entry may use an HTTP proxy

	done   chan struct{} // closed when answered
	answer any           // set before done is closed
}

// pair is a half or wholly given answer. nil: not given.
type pair struct{ user, pass *string }

// answeredKey finds who answered the last prompt of a kind.
type answeredKey struct {
	kind promptKind
	typ  string
}

// ask shows p to all seats, now and later ones, until it is answered or ctx ends. It returns nil, ctx's error, or
// ErrClosed. waiting is logged when nobody is there to answer.
func (s *Server) ask(ctx context.Context, p *prompt, waiting string) error {
	p.done = make(chan struct{})
	p.given = make(map[*seat]*pair)
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.prompts = append(s.prompts, p)
	delete(s.answered, answeredKey{p.kind, p.typ})
	alone := true
	for _, st := range s.seats {
		s.push(st, essential, p.line(st))
		alone = alone && !st.role.May(p.need)
	}
	s.mu.Unlock()
	s.begin()
	if alone {
		s.logf(3, "", waiting)
	}
	var err error
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.done:
		err = ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-p.done: // an answer won the race
		return nil
	default:
	}
	s.cancel(p)
	return err
}

// drop removes p from the pending ones. The lock is held.
func (s *Server) drop(p *prompt) {
	for i, q := range s.prompts {
		if q == p {
			s.prompts = append(s.prompts[:i], s.prompts[i+1:]...)
			return
		}
	}
}

// pending returns the oldest prompt of a kind, nil if there is none. The lock is held.
func (s *Server) pending(kind promptKind) *prompt {
	for _, p := range s.prompts {
		if p.kind == kind {
			return p
		}
	}
	return nil
}

// settle answers p for a seat, and tells the others. The lock is held.
func (s *Server) settle(p *prompt, st *seat, answer any) {
	p.answer = answer
	s.drop(p)
	s.answered[answeredKey{p.kind, p.typ}] = st
	line := wire.AppendLine(nil, mgmt.KindNotify, "info,"+mgmt.NotifyAnswered+","+p.kind.notification()+","+p.typ)
	s.fanout(essential, line, func(other *seat) bool { return other != st })
	close(p.done)
}

// late reports whether another seat that is still here answered the last prompt of this kind and type. The lock is held.
func (s *Server) late(kind promptKind, typ string, st *seat) bool {
	by := s.answered[answeredKey{kind, typ}]
	return by != nil && by != st && by.attached
}

// answeredBy is the error for an answer that came second.
const answeredBy = "another management client was first"
