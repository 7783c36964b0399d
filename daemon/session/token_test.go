package session

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// The server's part of the engine in dialogues that knows tokens.

var errToken = errors.New("token refused")

// claims reads the credentials of a key message, and reports whether the login is decided.
func (e *end) claims(m KeyMessage, now time.Time) bool {
	c := e.tokens.Claim(m.Message.Username, m.Message.Password, e.owner, now)
	presented := map[Presented]string{NoToken: "a password", TokenGood: "a good token", TokenExpired: "an expired token", TokenForged: "a forged token", TokenForeign: "a token of another session"}
	e.say("login %d is %s's, by %s", m.Login, c.Name, presented[c.Presented])
	if e.owner == nil {
		e.owner = &Owner{Login: c.Name, Name: c.Name}
	}
	if !c.Token.Initial.IsZero() {
		e.owner.Token = c.Token
	}
	switch {
	case c.Refusal == NameChanged:
		e.say("login %d changes the name", m.Login)
		e.s.Refuse(m.Login, errDenied)
	case c.Refusal != ClaimStands:
		e.s.Refuse(m.Login, errToken)
	case c.Decided:
		e.s.Verdict(m.Login, 0, nil, now)
	default:
		return false
	}
	return true
}

// giveToken sends the next token of the session.
func (e *end) giveToken(now time.Time) {
	if e.tokens == nil || !e.tokens.Gives(e.owner.Name) {
		return
	}
	if e.owner.Token.Initial.IsZero() {
		t, err := keys.NewToken(rand.Reader, e.owner.Name, now)
		if err != nil {
			e.say("no token: %v", err)
			return
		}
		e.owner.Token = t
	}
	t := e.owner.Token.Renew(now)
	t.User = e.owner.Name
	_ = e.s.SendText("auth-token " + e.tokens.Key.Encode(t))
}

// tokenPolicy makes a policy whose tokens are good for lifetime.
func tokenPolicy(t *testing.T, lifetime time.Duration, external bool) *TokenPolicy {
	t.Helper()
	key, err := keys.GenerateTokenKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &TokenPolicy{Key: key, Renewal: lifetime, Lifetime: lifetime, External: external}
}
