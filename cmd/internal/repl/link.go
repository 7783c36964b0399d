package repl

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// link shows the notifications of one session after the other. When one is lost it dials again, with growing pauses, and switches on
// what was on. Only what no waiting can mend ends the prompt.
func (s *session) link(ctx context.Context) {
	for c := s.conn(); ; {
		s.follow(ctx, c)
		c.Close()
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.mu.c, s.mu.asked = nil, nil
		dialing, cancel := context.WithCancel(ctx)
		s.mu.relink = cancel
		why := "connection to the daemon lost; dialing again"
		again := "connected again: "
		if s.mu.going != "" {
			again = "connected: "
			why, s.mu.going = "going to "+s.mu.going, ""
		}
		s.mu.Unlock()
		s.print(why + "\n")
		s.refresh()
		c = s.dial(ctx, dialing)
		cancel()
		if c == nil {
			s.refresh()
			return
		}
		s.mu.Lock()
		lines := slices.Sorted(maps.Values(s.mu.switches))
		s.mu.c = c
		s.mu.Unlock()
		for _, l := range lines {
			_, _ = c.Cmd(ctx, l) // an older daemon may not know it
		}
		t, _ := s.e.Target()
		s.print(again + env.Clean(c.Greeting()) + " at " + t.Name + "\n")
		s.refresh()
	}
}

// dial dials until a session is open, nil when that is hopeless. \connect ends dialing, to begin anew with another target.
func (s *session) dial(ctx, dialing context.Context) *client.Client {
	for {
		c, err := s.e.Redial(dialing, nil)
		switch {
		case err == nil:
			return c
		case ctx.Err() != nil:
			return nil
		case dialing.Err() != nil: // another target
			again, cancel := context.WithCancel(ctx)
			defer cancel()
			s.mu.Lock()
			s.mu.relink = cancel
			s.mu.Unlock()
			dialing = again
			continue
		}
		s.mu.Lock()
		s.mu.fatal = err
		s.mu.Unlock()
		return nil
	}
}

// follow prints notifications, collected, until the session or ctx ends.
func (s *session) follow(ctx context.Context, c *client.Client) {
	sub := c.Subscribe()
	defer sub.Close()
	for {
		n, err := sub.Next(ctx)
		if err != nil {
			return
		}
		var b strings.Builder
		s.show(&b, n)
		select {
		case <-time.After(flushEvery):
		case <-ctx.Done():
		}
		for {
			n, ok := sub.TryNext()
			if !ok {
				break
			}
			s.show(&b, n)
		}
		if b.Len() > 0 {
			s.print(b.String())
		}
	}
}

// unwanted reports whether notifications of a kind come only because a command switched them on for itself.
func (s *session) unwanted(kind string) bool {
	k := mgmt.LookupKind(kind)
	if k == nil || k.Switch == "" {
		return false
	}
	word, _, _ := strings.Cut(k.Switch, " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	line := s.mu.switches[word]
	return s.mu.following || line == "" || line == off[word]
}

// show adds a notification's lines and remembers what it asks for.
func (s *session) show(b *strings.Builder, n client.Notification) {
	if rest, ok := strings.CutPrefix(n.Text, "info,"+mgmt.NotifyAnswered+","); ok && n.Kind == mgmt.KindNotify {
		kind, typ, _ := strings.Cut(rest, ",")
		s.forget(kind, typ)
	}
	switch {
	case s.unwanted(n.Kind):
		return // the command that runs shows it
	case s.raw:
		for _, l := range client.NotificationLines(n) {
			b.WriteString(env.Clean(client.Redact(l)) + "\n")
		}
	default:
		text, colour := Person(n, time.Now())
		if s.colour && colour != plainText {
			text = colour + text + "\x1b[0m"
		}
		b.WriteString(text + "\n")
	}
	if q, ok := readQuestion(n); ok && s.remember(q) && q.kind == mgmt.KindPassword {
		b.WriteString("(press Enter on an empty line to answer '" + env.Clean(q.typ) + "')\n")
	}
}
