package server

import (
	"crypto/rand"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// Tokens of auth-gen-token: the client sends one instead of its password when it comes back.

// tokens is auth-gen-token as it is in force.
func (s *setup) tokens() *session.TokenPolicy {
	p := &session.TokenPolicy{Renewal: s.AuthTokenRenewal, Lifetime: s.AuthTokenLifetime, External: s.AuthTokenExternal}
	if s.AuthGenToken {
		p.Key = s.token
	}
	return p
}

// startToken starts the token session of a client that has none.
func (i *instance) startToken(now time.Time) error {
	if !i.token.Initial.IsZero() {
		return nil
	}
	t, err := keys.NewToken(rand.Reader, i.username, now)
	if err == nil {
		i.token = t
	}
	return err
}

// newToken is a token for the client's name, good from now, or "" when it gets none.
func (h *hub) newToken(i *instance, now time.Time) string {
	policy := h.set.tokens()
	if !policy.Gives(i.username) {
		return ""
	}
	if err := i.startToken(now); err != nil {
		return "" // the client goes on with its password
	}
	i.tokenSince = now
	t := i.token.Renew(now)
	t.User = i.username
	return policy.Key.Encode(t)
}

// freshToken sends a client the next token of its session.
func (h *hub) freshToken(i *instance, now time.Time) {
	if i.token.Initial.IsZero() {
		return
	}
	if token := h.newToken(i, now); token != "" {
		h.text(i, "PUSH_REPLY,auth-token "+token, now)
	}
}
