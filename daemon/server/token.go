package server

import (
	"crypto/rand"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// Tokens of auth-gen-token: the client sends one instead of its password when it comes back.

// tokenSession is the session of a client's auth-tokens.
type tokenSession struct {
	keys.Token           // the zero Initial before the first
	state      string    // what the last login claimed, for scripts
	since      time.Time // when the last token was made
}

// tokenAhead is how far the clocks of a fleet's nodes may differ for tokens, as for joining.
const tokenAhead = 2 * time.Minute

// tokens is auth-gen-token as it is in force.
func (s *setup) tokens() *session.TokenPolicy {
	p := &session.TokenPolicy{Renewal: s.AuthTokenRenewal, Lifetime: s.AuthTokenLifetime, External: s.AuthTokenExternal}
	if s.Fleet.Dir != "" {
		p.Ahead = tokenAhead
	}
	if s.AuthGenToken {
		p.Key = s.token
	}
	return p
}

// begin starts the session, if there is none.
func (t *tokenSession) begin(username string, now time.Time) error {
	if !t.Initial.IsZero() {
		return nil
	}
	token, err := keys.NewToken(rand.Reader, username, now)
	if err == nil {
		t.Token = token
	}
	return err
}

// next is a token for a user name, good from now, or "" for one that gets none.
func (t *tokenSession) next(policy *session.TokenPolicy, username string, now time.Time) string {
	if !policy.Gives(username) {
		return ""
	}
	if err := t.begin(username, now); err != nil {
		return "" // the client goes on with its password
	}
	t.since = now
	token := t.Renew(now)
	token.User = username
	return policy.Key.Encode(token)
}

// due reports whether a client that was given a token gets the next one.
func (t *tokenSession) due(policy *session.TokenPolicy, now time.Time) bool {
	return policy.Renewal > 0 && now.Sub(t.since) >= policy.Renewal
}

// freshToken sends a client the next token of its session.
func (l *links) freshToken(i *instance, policy *session.TokenPolicy, now time.Time) {
	if i.token.Initial.IsZero() {
		return
	}
	if token := i.token.next(policy, i.username, now); token != "" {
		l.text(i, "PUSH_REPLY,auth-token "+token, now)
	}
}
