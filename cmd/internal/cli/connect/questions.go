package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// logins keeps what the person has answered, and how often, for each that asks for a login: the server, a proxy, the private key.
type logins struct {
	user      string                 // of the server, as typed last
	challenge *mgmt.DynamicChallenge // that the next question about the server's login is
	asked     map[string]int         // questions by type of secret, since the tunnel was up last
	refusals  int                    // of the server and the key, in a row
	told      bool                   // the refusal that ends this attempt was told
}

// maxRefusals is how often a login is asked for.
const maxRefusals = 3

// password answers the prompts about secrets.
func (s *session) password(ctx context.Context, text string) error {
	if f, err := mgmt.ParseFailed(text); err == nil {
		return s.refused(f)
	}
	need, err := mgmt.ParseNeed(text)
	if err != nil {
		return nil // a token, which the daemon keeps by itself
	}
	if c := s.logins.challenge; c != nil && need.Type == mgmt.SecretAuth {
		s.logins.challenge = nil
		return s.answerChallenge(ctx, *c)
	}
	if s.logins.asked[need.Type]++; isProxy(need.Type) && s.logins.asked[need.Type] > maxRefusals { // a proxy's refusal is told by asking again
		return cause{text: fmt.Sprintf("the %s does not take the user name and password, after %d tries: ask its operator", proxyName(need.Type), maxRefusals), kind: errRefused}
	}
	user := ""
	if need.Username {
		if user, err = s.askUser(ctx, need.Type); err != nil {
			return err
		}
	}
	password := ""
	if need.Password {
		if password, err = s.ask(ctx, passwordPrompt(need.Type), false); err != nil {
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

func isProxy(typ string) bool { return typ == mgmt.SecretHTTPProxy || typ == mgmt.SecretSOCKSProxy }

func proxyName(typ string) string {
	if typ == mgmt.SecretSOCKSProxy {
		return "SOCKS proxy"
	}
	return "HTTP proxy"
}

// askUser asks for a user name. The server's is kept for the next time.
func (s *session) askUser(ctx context.Context, typ string) (string, error) {
	switch {
	case isProxy(typ):
		return s.ask(ctx, "user name for the "+proxyName(typ)+": ", true)
	case typ != mgmt.SecretAuth:
		return s.ask(ctx, env.Clean(typ)+" user name: ", true)
	case s.logins.user == "":
		user, err := s.ask(ctx, "user name: ", true)
		s.logins.user = user
		return user, err
	}
	user, err := s.ask(ctx, "user name ["+env.Clean(s.logins.user)+"]: ", true)
	if user != "" {
		s.logins.user = user
	}
	return s.logins.user, err
}

func passwordPrompt(typ string) string {
	switch {
	case typ == mgmt.SecretAuth:
		return "password: "
	case typ == mgmt.SecretPrivateKey:
		return "passphrase of the private key: "
	case isProxy(typ):
		return "password for the " + proxyName(typ) + ": "
	}
	return env.Clean(typ) + " password: "
}

// answerChallenge asks the question of a dynamic challenge, if it has one: some only want the next attempt.
func (s *session) answerChallenge(ctx context.Context, c mgmt.DynamicChallenge) error {
	answer := ""
	if c.Response {
		var err error
		if answer, err = s.ask(ctx, env.Clean(c.Text)+": ", c.Echo); err != nil {
			return err
		}
	} else if c.Text != "" {
		s.say("%s", c.Text)
	}
	return s.login(ctx, mgmt.SecretAuth, c.Username, c.Answer(answer))
}

func (s *session) login(ctx context.Context, typ, user, password string) error {
	if err := s.send(ctx, "username", typ, user); err != nil {
		return err
	}
	return s.send(ctx, "password", typ, password)
}

// refused tells about a refusal, whose reason may be the next question. It is the end after too many, and when the next attempt would say
// the same because nothing is asked.
func (s *session) refused(f mgmt.Failed) error {
	if c, ok := mgmt.ParseDynamicChallenge(f.Reason); ok {
		s.logins.challenge, s.logins.refusals, s.logins.told = &c, 0, true
		return nil
	}
	s.logins.refusals++
	left := maxRefusals - s.logins.refusals
	what, remedy := "", "ask the operator of the VPN"
	switch reason, passing := reasonOf(f.Reason); {
	case f.Type == mgmt.SecretPrivateKey:
		what, remedy = "the passphrase does not open the private key", "ask for it whoever made the profile"
	case passing:
		s.say("the server cannot decide about the login now%s; trying again", reason)
		s.logins.refusals, s.logins.told = 0, true
		return nil
	case f.Type != mgmt.SecretAuth:
		what = env.Clean(f.Type) + " refuses the user name or the password" + reason
	case s.logins.asked[mgmt.SecretAuth] > 0:
		what = "the server refuses the user name or the password" + reason
	default:
		what = "the server refuses this profile, or the user name and password in it" + reason
		if c, ok := explain(f.Reason); ok {
			return cause{text: s.fill(c.text), kind: errRefused}
		}
		if !s.connected { // after that it may be a token, whose place a login takes
			left = 0
		}
	}
	if left <= 0 || !s.e.MayAsk() {
		return cause{text: what + "; " + remedy, kind: errRefused}
	}
	tries := "one more try"
	if left > 1 {
		tries = fmt.Sprintf("%d more tries", left)
	}
	s.say("%s; %s", what, tries)
	s.logins.told = true
	return nil
}

// reasonOf is a server's reason for a refusal as a part of a sentence, and whether it may pass.
//
//	TEXT     TEMP[FLAGS]:TEXT     SESSION:TEXT
func reasonOf(reason string) (text string, passing bool) {
	rest, passing := strings.CutPrefix(reason, "TEMP")
	if passing {
		if _, behind, ok := strings.Cut(rest, "]"); ok && strings.HasPrefix(rest, "[") {
			rest = behind
		}
		rest = strings.TrimPrefix(rest, ":")
	}
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "SESSION:"))
	if rest == "" {
		return "", passing
	}
	return " (" + env.Clean(rest) + ")", passing
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

// ask asks the person. The time that an answer takes is not taken from the wait for the tunnel. A daemon that ends takes its question back.
func (s *session) ask(ctx context.Context, prompt string, shown bool) (string, error) {
	if !s.e.MayAsk() {
		return "", cause{text: fmt.Sprintf("%q is asked, and there is no terminal to answer at; without one use auth-user-pass FILE or askpass FILE in the profile", strings.TrimRight(prompt, ": ")), kind: errRefused}
	}
	how := s.e.AskHidden
	if shown {
		how = s.e.AskShown
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-s.c.Done():
		case <-asking.Done():
		}
	}()
	answer, err := how(asking, prompt)
	if err != nil && ctx.Err() == nil && asking.Err() != nil {
		return "", client.ErrLost
	}
	s.wait(s.o.timeout)
	return answer, err
}

// send sends a command. A refusal of the daemon is told, and the tunnel tried further.
func (s *session) send(ctx context.Context, words ...string) error {
	_, err := s.do(ctx, words...)
	var refused *client.ReplyError
	if errors.As(err, &refused) {
		s.say("%s", refused.Text)
		return nil
	}
	return err
}
