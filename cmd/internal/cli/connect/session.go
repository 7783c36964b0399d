package connect

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// session follows one daemon for a person, from its hold to its end. One goroutine owns it.
type session struct {
	e *env.Env
	o Options
	c *client.Client

	progress
	connected bool      // the tunnel was up once
	set       bool      // the daemon has begun to set up the tunnel on this machine
	deadline  time.Time // of the tunnel; moves with each answer
	cause     cause     // the last trouble
	fresh     bool      // it is of this attempt
	answered  bool      // the server, since the last attempt began
	logins    logins
	texts     *rate.Limiter
}

// newSession returns a session without a daemon, which begin starts.
func newSession(e *env.Env, o Options) *session {
	return &session{e: e, o: o, progress: progress{out: e.Err, told: make(map[string]bool)}, deadline: time.Now().Add(o.timeout), logins: logins{asked: make(map[string]int)}, texts: newTexts()}
}

// run lets the daemon go and follows it: to the tunnel under --background, else to its end.
func (s *session) run(ctx context.Context) error {
	sub := s.c.Subscribe()
	defer sub.Close()
	if err := s.letGo(ctx); err != nil && !errors.Is(err, client.ErrLost) { // of a loss the notifications tell why
		return s.orLate(ctx, err)
	}
	for {
		n, err := s.next(ctx, sub)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case overdue(err):
			return s.late()
		case err != nil:
			return s.ended(err)
		}
		if err := s.handle(ctx, n); err != nil && !(errors.Is(err, client.ErrLost) && ctx.Err() == nil) { // what is queued tells why
			return s.orLate(ctx, err)
		}
		if s.connected && s.o.background {
			return nil
		}
	}
}

// letGo subscribes to what a person wants to know and ends the daemon's hold.
func (s *session) letGo(ctx context.Context) error {
	if err := s.hear(ctx); err != nil {
		return err
	}
	for _, line := range []string{"log on", "state on", "hold off", "hold release"} {
		if _, err := s.do(ctx, strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// orLate is the error of a wait for the tunnel that is over, or err.
func (s *session) orLate(ctx context.Context, err error) error {
	if overdue(err) && ctx.Err() == nil {
		return s.late()
	}
	return err
}

// hear makes the daemon log what explain reads: certificates are told at verb 2, the peer's address at 3.
func (s *session) hear(ctx context.Context) error {
	const enough = "3"
	r, err := s.do(ctx, "verb")
	if err != nil {
		return err
	}
	if verb, ok := strings.CutPrefix(r, "verb="); ok && len(verb) == 1 && verb < enough {
		_, err = s.do(ctx, "verb", enough)
	}
	return err
}

// next waits for a notification: for ever once the tunnel is up, else until the deadline.
func (s *session) next(ctx context.Context, sub *client.Subscription) (client.Notification, error) {
	ctx, cancel := s.inTime(ctx)
	defer cancel()
	return sub.Next(ctx)
}

// inTime bounds a wait by the deadline of the tunnel, until that is up.
func (s *session) inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.connected {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, s.deadline)
}

// do sends a command.
func (s *session) do(ctx context.Context, words ...string) (string, error) {
	ctx, cancel := s.inTime(ctx)
	defer cancel()
	return s.c.Do(ctx, words...)
}

func (s *session) handle(ctx context.Context, n client.Notification) error {
	switch n.Kind {
	case mgmt.KindState:
		st, err := mgmt.ParseState(n.Text)
		if err != nil {
			return nil // of a daemon to come
		}
		return s.changed(st)
	case mgmt.KindLog:
		if l, err := mgmt.ParseLog(n.Text); err == nil {
			s.logged(l.Text)
		}
	case mgmt.KindHold:
		return s.send(ctx, "hold", "release")
	case mgmt.KindFatal:
		s.logged(n.Text)
		if s.cause.text == "" {
			s.cause = cause{text: "the tunnel cannot be made on this machine: " + env.Clean(n.Text), kind: errMachine}
		}
	case mgmt.KindPassword:
		return s.password(ctx, n.Text)
	case mgmt.KindNeedOK, mgmt.KindNeedStr:
		return s.question(ctx, n)
	case mgmt.KindInfoMsg:
		return s.message(ctx, n.Text)
	case mgmt.KindRemote: // management-query-remote: a front end may choose, a person takes the profile's
		return s.send(ctx, "remote", "ACCEPT")
	case mgmt.KindProxy:
		return s.send(ctx, "proxy", "NONE")
	case mgmt.KindNeedCertificate, mgmt.KindPKSign, mgmt.KindRSASign:
		return cause{text: "the profile leaves its certificate or key to a management client (management-external-key), which connect is not: " +
			"put cert and key into the profile", kind: errMachine}
	}
	return nil
}

// logged keeps what a line of the log says about trouble, and about the way to the server.
func (s *session) logged(line string) {
	s.heard(line)
	if c, ok := explain(line); ok {
		c.text = s.fill(c.text)
		s.trouble(c)
	}
}

// trouble keeps a cause and tells it. A reason that stays is not covered by one that passes.
func (s *session) trouble(c cause) {
	if s.cause.kind != nil && c.kind == nil {
		return
	}
	if s.cause, s.fresh = c, true; c.soon > 0 && time.Until(s.deadline) > c.soon {
		s.wait(c.soon)
	}
	s.once(c.text)
}

// wait sets the deadline of the tunnel: d from now, less when the cause of its failure is known before.
func (s *session) wait(d time.Duration) {
	if s.cause.soon > 0 {
		d = min(d, s.cause.soon)
	}
	s.deadline = time.Now().Add(d)
}
