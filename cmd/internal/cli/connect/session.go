package connect

import (
	"context"
	"errors"
	"strings"
	"time"

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
	deadline  time.Time // of the tunnel; moves with each answer
	cause     cause     // the last trouble
	fresh     bool      // it is of this attempt
	answered  bool      // the server, since the last attempt began
	logins    logins
}

func newSession(e *env.Env, o Options, c *client.Client) *session {
	return &session{e: e, o: o, c: c, progress: progress{out: e.Err, told: make(map[string]bool)}, deadline: time.Now().Add(o.timeout), logins: logins{asked: make(map[string]int)}}
}

// run lets the daemon go and follows it: to the tunnel under --background, else to its end.
func (s *session) run(ctx context.Context) error {
	sub := s.c.Subscribe()
	defer sub.Close()
	if err := s.letGo(ctx); err != nil && !errors.Is(err, client.ErrLost) { // of a loss the notifications tell why
		return err
	}
	for {
		n, err := s.next(ctx, sub)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return s.late()
		case err != nil:
			return s.ended(err)
		}
		if err := s.handle(ctx, n); err != nil && !(errors.Is(err, client.ErrLost) && ctx.Err() == nil) { // what is queued tells why
			return err
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
		if _, err := s.c.Cmd(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// hear makes the daemon log what explain reads: certificates are told at verb 2, the peer's address at 3.
func (s *session) hear(ctx context.Context) error {
	const enough = "3"
	r, err := s.c.Do(ctx, "verb")
	if err != nil {
		return err
	}
	if verb, ok := strings.CutPrefix(r, "verb="); ok && len(verb) == 1 && verb < enough {
		_, err = s.c.Do(ctx, "verb", enough)
	}
	return err
}

// next waits for a notification: for ever once the tunnel is up, else until the deadline.
func (s *session) next(ctx context.Context, sub *client.Subscription) (client.Notification, error) {
	if s.connected {
		return sub.Next(ctx)
	}
	ctx, cancel := context.WithDeadline(ctx, s.deadline)
	defer cancel()
	return sub.Next(ctx)
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
	if s.cause, s.fresh = c, true; c.soon > 0 {
		s.wait(s.o.timeout)
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
