package server

import (
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// expiredText tells a client that its token is too old.
const expiredText = "SESSION: token expired"

// logClaim logs what a key message claims about its sender, in stock's words.
func (c *clientLog) logClaim(i *instance, known *session.Owner, claim *session.Claim) {
	switch claim.Presented {
	case session.TokenForged:
		c.log(i, logging.Info, "--auth-gen-token: HMAC on token from client failed (%s)", claim.Name)
	case session.TokenForeign:
		c.log(i, logging.Info, "--auth-gen-token: token of another session")
	case session.TokenExpired:
		c.log(i, logging.Info, "--auth-gen-token: auth-token from client expired")
	case session.NoToken, session.TokenGood:
	}
	if claim.Decided && claim.Refusal != session.TokenRefused {
		c.log(i, logging.Info, "TLS: Username/auth-token authentication succeeded for username '%s'", claim.Name)
	}
	if claim.Refusal == session.NameChanged {
		c.log(i, logging.Error, "TLS Auth Error: username attempted to change from '%s' to '%s' -- tunnel disabled", known.Name, claim.Name)
	}
}

// claimRefusal is the refusal of a claim that does not stand, nil for one that does.
func claimRefusal(claim *session.Claim) *refusal {
	switch claim.Refusal {
	case session.TokenRefused:
		r := &refusal{log: "auth-token refused", line: fmt.Sprintf("TLS: Username/auth-token authentication failed for username '%s'", claim.Name), level: logging.Info}
		if claim.Presented == session.TokenExpired {
			r.client = expiredText
		}
		return r
	case session.NameChanged:
		return &refusal{log: "user name changed during the session"}
	case session.ClaimStands:
	}
	return nil
}
