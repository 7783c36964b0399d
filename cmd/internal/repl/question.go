package repl

import (
	"context"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// question is a prompt of the daemon that waits for an answer.
type question struct {
	kind, typ string
	username  bool
	challenge string
	hidden    bool // of the challenge
}

// readQuestion reads a prompt that wants an answer with a type.
func readQuestion(n client.Notification) (question, bool) {
	q := question{kind: n.Kind}
	switch n.Kind {
	case mgmt.KindNeedOK, mgmt.KindNeedStr:
		asked, err := mgmt.ParseQuestion(n.Text)
		q.typ = asked.Type
		return q, err == nil
	case mgmt.KindPassword:
	default:
		return q, false
	}
	need, err := mgmt.ParseNeed(n.Text)
	if err != nil {
		return q, false
	}
	q.typ, q.username = need.Type, need.Username
	if c := need.Challenge; c != nil && !c.Concat { // else answered as part of the password
		q.challenge, q.hidden = c.Text, !c.Echo
	}
	return q, true
}

// remember adds a question unless it is known. It reports whether it was added.
func (s *session) remember(q question) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.mu.asked {
		if old == q {
			return false
		}
	}
	s.mu.asked = append(s.mu.asked, q)
	return true
}

// question is the oldest open password prompt.
func (s *session) question() (question, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.mu.asked {
		if q.kind == mgmt.KindPassword {
			return q, true
		}
	}
	return question{}, false
}

// answered forgets the question a command answered.
func (s *session) answered(command, typ string) {
	if c := mgmt.Lookup(command); c != nil && c.Answers != "" && command != "username" { // that is half an answer
		s.forget(c.Answers, typ)
	}
}

// forget drops a question that was answered.
func (s *session) forget(kind, typ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []question
	for _, q := range s.mu.asked {
		if q.kind != kind || q.typ != typ {
			left = append(left, q)
		}
	}
	s.mu.asked = left
}

// ask answers a password prompt. Giving up with Ctrl-C leaves it to others; the question is then not asked again by itself.
func (s *session) ask(ctx context.Context, q question) error {
	s.answered("password", q.typ)
	var user, response string
	var err error
	if q.username {
		if user, err = s.read(q.typ + " username: "); err != nil {
			return err
		}
	}
	password, err := s.hidden(q.typ + " password: ")
	if err != nil {
		return err
	}
	if q.challenge != "" {
		text := env.Clean(q.challenge) + " "
		if q.hidden {
			response, err = s.hidden(text)
		} else {
			response, err = s.read(text)
		}
		if err != nil {
			return err
		}
		password = mgmt.StaticResponse(password, response)
	}
	if q.username {
		s.send(ctx, client.Line("username", q.typ, user))
	}
	s.send(ctx, client.Line("password", q.typ, password))
	return nil
}

// Types are the types asked for by open prompts of a kind.
func (s *session) Types(kind string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var types []string
	for _, q := range s.mu.asked {
		if q.kind == kind {
			types = append(types, q.typ)
		}
	}
	return types
}
