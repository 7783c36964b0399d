package connect

import (
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
)

// progress tells a person how far the connection has come.
type progress struct {
	out           io.Writer
	told          map[string]bool // since the tunnel was up last: attempts that fail alike are told once
	before, state mgmt.State      // the last but one, and the present one
	hop           string          // address of the server or proxy that is tried, "" until one is known
}

// say writes a line.
func (p *progress) say(format string, args ...any) {
	fmt.Fprintf(p.out, "%s  %s\n", time.Now().Format(time.TimeOnly), env.Clean(fmt.Sprintf(format, args...)))
}

// once is say for a line that is not told again while attempts follow each other.
func (p *progress) once(text string) {
	if !p.told[text] {
		p.told[text] = true
		p.say("%s", text)
	}
}

var hopLine = regexp.MustCompile(`(?: link remote:|establish TCP connection with|used remote address:) \[AF_INET6?\](\S+)`)

// heard learns from a line of the log which address is tried.
func (p *progress) heard(line string) {
	if m := hopLine.FindStringSubmatch(line); m != nil {
		p.hop = m[1]
	}
}

// server names the other end.
func (p *progress) server() string {
	switch {
	case p.state.Remote.IsValid():
		return p.state.Remote.String()
	case p.before.Remote.IsValid():
		return p.before.Remote.String()
	case p.hop != "":
		return p.hop
	}
	return "the server"
}

// fill puts the server's address into a text.
func (p *progress) fill(text string) string { return strings.ReplaceAll(text, "{server}", p.server()) }

// steps are the states for a person.
var steps = map[string]string{
	mgmt.StateResolve:    "looking up the server's address",
	mgmt.StateTCPConnect: "opening a TCP connection",
	mgmt.StateWait:       "waiting for the server's answer",
	mgmt.StateAuth:       "the server answers; logging in",
	mgmt.StateGetConfig:  "logged in; asking for the tunnel's settings",
	mgmt.StateAssignIP:   "setting up the tunnel",
	mgmt.StateAddRoutes:  "adding routes",
}

// changed tells about a state, and ends the attempt when what failed will fail again.
func (s *session) changed(st mgmt.State) error {
	s.before, s.state = s.state, st
	s.set = s.set || st.Name == mgmt.StateAssignIP || st.Name == mgmt.StateConnected
	switch st.Name {
	case mgmt.StateConnected:
		return s.up(st)
	case mgmt.StateReconnecting:
		return s.down(st.Detail)
	case mgmt.StateAuthPending:
		wait := s.o.timeout
		if n, err := strconv.Atoi(strings.TrimPrefix(st.Detail, "timeout ")); err == nil {
			wait = time.Duration(n) * time.Second
			s.say("the server waits for the rest of the login, for %v", wait)
		} else {
			s.say("the server waits for the rest of the login")
		}
		s.wait(wait + 5*time.Second)
	case mgmt.StateExiting:
	default:
		s.answered = s.answered || st.Name == mgmt.StateAuth
		if text := steps[st.Name]; text != "" {
			s.once(text + through(st))
		}
	}
	return nil
}

// up tells about the tunnel.
func (s *session) up(st mgmt.State) error {
	again := s.connected
	s.connected, s.logins.refusals, s.cause, s.fresh = true, 0, cause{}, false
	clear(s.told)
	clear(s.logins.asked)
	s.say("connected%s", through(st))
	if st.Detail != mgmt.DetailSuccess {
		s.say("some addresses or routes could not be set: moongate -a %s log tells which", s.o.name)
	}
	switch {
	case s.o.background:
		return s.e.WriteLines(fmt.Sprintf("%s is connected; moongate -a %[1]s status shows it, moongate disconnect %[1]s ends it", s.o.name))
	case !again:
		s.say("Ctrl-C disconnects; moongate -a %s status shows the traffic", s.o.name)
	}
	return nil
}

// down tells about an attempt, or a tunnel, that ended.
func (s *session) down(reason string) error {
	defer func() { s.fresh, s.answered = false, false }()
	if s.cause.kind != nil {
		return s.cause
	}
	if s.logins.told { // the reason is known
		s.logins.told = false
		return nil
	}
	if !s.fresh {
		c := broken(s.before.Name, reason)
		c.text = s.fill(c.text)
		if s.trouble(c); c.kind != nil {
			return c
		}
	}
	s.once("trying again")
	return nil
}

// through names the addresses of a state, as far as it has them.
func through(st mgmt.State) string {
	var b strings.Builder
	for _, a := range []netip.Addr{st.TunIPv4, st.TunIPv6} {
		if a.IsValid() {
			b.WriteString(", address " + a.String())
		}
	}
	if st.Remote.IsValid() {
		b.WriteString(", through " + st.Remote.String())
	}
	return b.String()
}
