package server

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// Tokens of auth-gen-token: the client sends one instead of its password when it comes back.

// checkToken verifies a token that came as password. It returns the session_state for scripts.
func (h *hub) checkToken(i *instance, user, token string, now time.Time) (state string, err error) {
	t, err := h.set.token.Verify(token, user, now, h.set.AuthTokenRenewal, h.set.AuthTokenLifetime)
	switch {
	case err == nil && i.tokenStart != (time.Time{}) && (t.Session != i.tokenName || !t.Initial.Equal(i.tokenStart)):
		return "Invalid", &refusal{log: "auth-token of another session"}
	case err == nil:
		i.tokenName, i.tokenStart = t.Session, t.Initial
		if !h.set.AuthTokenExternal {
			h.log(i, 1, "", "TLS: Username/auth-token authentication succeeded for username '%s'", user)
		}
		if t.EmptyUser {
			return "AuthenticatedEmptyUser", nil
		}
		return "Authenticated", nil
	case errors.Is(err, keys.ErrTokenExpired):
		if t.EmptyUser {
			state = "ExpiredEmptyUser"
		} else {
			state = "Expired"
		}
		return state, &refusal{log: "auth-token expired", client: "SESSION: token expired"}
	default:
		return "Invalid", &refusal{log: "auth-token not valid"}
	}
}

// startToken begins the token session of a client that gave its real password.
func (h *hub) startToken(i *instance, now time.Time) {
	if i.tokenStart != (time.Time{}) {
		return
	}
	t, err := keys.NewToken(rand.Reader, now)
	if err != nil {
		return // no token then: the client goes on with its password
	}
	i.tokenName, i.tokenStart = t.Session, t.Initial
}

// newToken is a token for a client, good from now.
func (h *hub) newToken(i *instance, now time.Time) string {
	i.tokenSince = now
	return h.set.token.Encode(keys.Token{Session: i.tokenName, Initial: i.tokenStart, Issued: now.Truncate(time.Second)}, i.username)
}

// tokenNameText is session_id as scripts see it.
func (h *hub) tokenNameText(i *instance) string {
	return base64.StdEncoding.EncodeToString(i.tokenName[:])
}
