package connect

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
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

	state     mgmt.State
	connected bool      // the tunnel was up once
	deadline  time.Time // of the tunnel; moves with each answer
	cause     cause     // the last trouble that the log told

	user      string // as typed last
	refusals  int    // in a row
	reason    string // of the last one
	challenge *mgmt.DynamicChallenge
}

// maxRefusals is how often a login is asked for again.
const maxRefusals = 3

func newSession(e *env.Env, o Options, c *client.Client) *session {
	return &session{e: e, o: o, c: c, deadline: time.Now().Add(o.timeout)}
}

// say writes a line of progress.
func (s *session) say(format string, args ...any) {
	fmt.Fprintf(s.e.Err, "%s  %s\n", time.Now().Format(time.TimeOnly), env.Clean(fmt.Sprintf(format, args...)))
}

// run lets the daemon go and follows it: to the tunnel under --background, else to its end.
func (s *session) run(ctx context.Context) error {
	sub := s.c.Subscribe()
	defer sub.Close()
	for _, line := range []string{"log on", "state on", "hold off", "hold release"} {
		if _, err := s.c.Cmd(ctx, line); err != nil {
			return err
		}
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
		if err := s.handle(ctx, n); err != nil {
			return err
		}
		if s.connected && s.o.background {
			return nil
		}
	}
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
			s.note(l.Text)
		}
	case mgmt.KindHold:
		return s.send(ctx, "hold", "release")
	case mgmt.KindFatal:
		s.note(n.Text)
		if s.cause.text == "" {
			s.cause = cause{text: "the tunnel cannot be made on this machine: " + n.Text, kind: errMachine}
		}
	case mgmt.KindPassword:
		return s.password(ctx, n.Text)
	case mgmt.KindNeedOK, mgmt.KindNeedStr:
		return s.question(ctx, n)
	case mgmt.KindInfoMsg:
		return s.message(ctx, n.Text)
	}
	return nil
}

// note keeps what a line of the log says about trouble.
func (s *session) note(text string) {
	c, ok := explain(text)
	if !ok || s.cause.kind != nil && c.kind == nil { // a reason that stays is not covered by one that passes
		return
	}
	if s.cause.text != c.text {
		s.say("%s", c.text)
	}
	s.cause = c
	if c.soon > 0 {
		s.wait(s.o.timeout)
	}
}

// wait sets the deadline of the tunnel: d from now, less when the cause of its failure is known before.
func (s *session) wait(d time.Duration) {
	if s.cause.soon > 0 {
		d = min(d, s.cause.soon)
	}
	s.deadline = time.Now().Add(d)
}

// changed tells about a state, and ends the attempt when what failed will fail again.
func (s *session) changed(st mgmt.State) error {
	s.state = st
	switch st.Name {
	case mgmt.StateConnected:
		s.connected, s.refusals, s.cause = true, 0, cause{}
		s.say("connected%s", through(st))
		if st.Detail != mgmt.DetailSuccess {
			s.say("some addresses or routes could not be set: moongate -a %s log tells which", s.o.name)
		}
		if !s.o.background {
			s.say("Ctrl-C disconnects; moongate -a %s status shows the traffic", s.o.name)
			return nil
		}
		return s.e.WriteLines(fmt.Sprintf("%s is connected; moongate -a %[1]s status shows it, moongate disconnect %[1]s ends it", s.o.name))
	case mgmt.StateReconnecting:
		if s.cause.kind != nil {
			return s.cause
		}
		if st.Detail != mgmt.ReasonAuthFailure { // told already, as a refusal
			s.say("no connection (%s), trying again", st.Detail)
		}
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
		if text := steps[st.Name]; text != "" {
			s.say("%s%s", text, through(st))
		}
	}
	return nil
}

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

// password answers the prompts about secrets.
func (s *session) password(ctx context.Context, text string) error {
	if f, err := mgmt.ParseFailed(text); err == nil {
		return s.refused(f)
	}
	need, err := mgmt.ParseNeed(text)
	if err != nil {
		return nil // a token, which the daemon keeps by itself
	}
	if c := s.challenge; c != nil && need.Type == mgmt.SecretAuth {
		s.challenge = nil
		answer := ""
		if c.Response {
			if answer, err = s.ask(ctx, env.Clean(c.Text)+": ", c.Echo); err != nil {
				return err
			}
		}
		return s.login(ctx, need.Type, c.Username, c.Answer(answer))
	}
	user, what := "", need.Type+" password: "
	switch {
	case need.Username:
		prompt := "user name: "
		if need.Type != mgmt.SecretAuth {
			prompt = need.Type + " user name: "
		} else if s.user != "" {
			prompt = "user name [" + s.user + "]: "
		}
		if user, err = s.ask(ctx, prompt, true); err != nil {
			return err
		}
		if user == "" && need.Type == mgmt.SecretAuth {
			user = s.user
		}
		if need.Type == mgmt.SecretAuth {
			s.user, what = user, "password: "
		}
	case need.Type == mgmt.SecretPrivateKey:
		what = "passphrase of the private key: "
	}
	password := ""
	if need.Password {
		if password, err = s.ask(ctx, what, false); err != nil {
			return err
		}
	}
	if c := need.Challenge; c != nil {
		response, err := s.ask(ctx, env.Clean(c.Text)+": ", c.Echo)
		if err != nil {
			return err
		}
		if c.Concat {
			password += response
		} else {
			password = mgmt.StaticResponse(password, response)
		}
	}
	if !need.Username {
		return s.send(ctx, "password", need.Type, password)
	}
	return s.login(ctx, need.Type, user, password)
}

func (s *session) login(ctx context.Context, typ, user, password string) error {
	if err := s.send(ctx, "username", typ, user); err != nil {
		return err
	}
	return s.send(ctx, "password", typ, password)
}

// refused tells about a refusal, whose reason may be the next question. After too many it is the end.
func (s *session) refused(f mgmt.Failed) error {
	if c, ok := mgmt.ParseDynamicChallenge(f.Reason); ok {
		s.challenge, s.refusals = &c, 0
		return nil
	}
	what := "the server refuses the user name or the password"
	switch f.Type {
	case mgmt.SecretAuth:
	case mgmt.SecretPrivateKey:
		what = "the passphrase does not open the private key"
	default:
		what = f.Type + " refuses the user name or the password"
	}
	if f.Reason != "" {
		what += ": " + f.Reason
	}
	s.reason = what
	s.refusals++
	if s.refusals >= maxRefusals || !s.e.MayAsk() {
		return cause{text: what + "; ask the operator of the VPN if they are right", kind: errRefused}
	}
	s.say("%s", what)
	return nil
}

// question answers what is neither name nor password.
func (s *session) question(ctx context.Context, n client.Notification) error {
	q, err := mgmt.ParseQuestion(n.Text)
	if err != nil {
		return nil
	}
	if n.Kind == mgmt.KindNeedStr {
		answer, err := s.ask(ctx, env.Clean(q.Text)+": ", true)
		if err != nil {
			return err
		}
		return s.send(ctx, "needstr", q.Type, answer)
	}
	answer, err := s.ask(ctx, env.Clean(q.Text)+" [Y/n] ", true)
	if err != nil {
		return err
	}
	if strings.HasPrefix(strings.ToLower(answer), "n") {
		return s.send(ctx, "needok", q.Type, "cancel")
	}
	return s.send(ctx, "needok", q.Type, "ok")
}

// message acts on a server's text: a login in the browser, or a question within a login.
//
//	WEB_AUTH:FLAGS:URL     OPEN_URL:URL     CR_TEXT:FLAGS:TEXT
func (s *session) message(ctx context.Context, text string) error {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "WEB_AUTH":
		_, page, _ := strings.Cut(rest, ":")
		return s.page(page)
	case "OPEN_URL":
		return s.page(rest)
	case "CR_TEXT":
		flags, question, _ := strings.Cut(rest, ":")
		echo, wants := false, false
		for f := range strings.SplitSeq(flags, ",") {
			echo, wants = echo || f == "E", wants || f == "R"
		}
		if !wants {
			s.say("%s", question)
			return nil
		}
		answer, err := s.ask(ctx, env.Clean(question)+": ", echo)
		if err != nil {
			return err
		}
		return s.send(ctx, "cr-response", base64.StdEncoding.EncodeToString([]byte(answer)))
	}
	return nil
}

// page opens a page, or shows where it is.
func (s *session) page(address string) error {
	page, err := webPage(address)
	if err != nil {
		return cause{text: err.Error(), kind: errRefused}
	}
	if s.o.browser == "open" && open(s.e.Getenv, page) {
		s.say("log in at the page that opens in the browser: %s", page)
		return nil
	}
	s.say("log in at this page, with any device: %s", page)
	fmt.Fprint(s.e.Err, code(page, s.e.Width))
	return nil
}

// ask asks the person. The time that an answer takes is not taken from the wait for the tunnel.
func (s *session) ask(ctx context.Context, prompt string, shown bool) (string, error) {
	if !s.e.MayAsk() {
		return "", cause{text: fmt.Sprintf("%q is asked, and there is no terminal to answer at; without one use auth-user-pass FILE or askpass FILE in the profile", strings.TrimRight(prompt, ": ")), kind: errRefused}
	}
	how := s.e.AskHidden
	if shown {
		how = s.e.AskShown
	}
	answer, err := how(ctx, prompt)
	s.wait(s.o.timeout)
	return answer, err
}

// send sends a command. A refusal of the daemon is told, and the tunnel tried further.
func (s *session) send(ctx context.Context, words ...string) error {
	_, err := s.c.Do(ctx, words...)
	var refused *client.ReplyError
	if errors.As(err, &refused) {
		s.say("%s", refused.Text)
		return nil
	}
	if err != nil && ctx.Err() == nil {
		return s.ended(err)
	}
	return err
}
