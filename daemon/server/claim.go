package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// tokenPolicy is auth-gen-token as it is in force.
type tokenPolicy struct {
	key               *keys.TokenKey // nil: there are no tokens, and a password that looks like one is a password
	renewal, lifetime time.Duration
	external          bool // the verifiers decide about tokens too
}

// gives reports whether a client that goes by name gets tokens. A token for the empty name would fit every name, so only
// verifiers that are asked about tokens may accept one.
func (p *tokenPolicy) gives(name string) bool { return p.key != nil && (name != "" || p.external) }

// identity is fixed by the first login of a session.
type identity struct {
	login string     // the name it was made with
	name  string     // the name in force: login, or what override-username put in its place
	token keys.Token // its session: the zero Initial before the first token
}

// claim is the identity that a key message claims, and how to verify it.
//
//	name ""                 no credentials at all: the password does not count
//	password                the claimed name
//	token for that name     that name
//	token for no name       no name, whatever was claimed
type claim struct {
	name string // whose login it is
	// user and pass are what verifiers are asked about.
	user, pass string
	state      string     // session_state for scripts, "" without tokens
	token      keys.Token // that came as password and is ours, expired or not
	decided    bool       // the token alone decides: the verifiers are not asked
	refused    *refusal
	expired    bool     // what the client reads when it is refused
	lines      []string // for the log
}

// expiredText tells a client that its token is too old.
const expiredText = "SESSION: token expired"

// claim reads the credentials of a key message. known is nil for the first login of a session.
//
// Rule: docs/protocol.md#46-auth-token; TestTokenMatrix compares every combination with stock.
func (p *tokenPolicy) claim(user, pass string, known *identity, now time.Time) claim {
	if user == "" {
		pass = ""
	}
	c := claim{name: user, user: user, pass: pass}
	if known != nil && user == known.login {
		c.name = known.name
	}
	if p.key != nil {
		c.state = "Initial"
		if keys.IsToken(pass) {
			p.present(&c, known, now)
		}
	}
	if known != nil && c.refused == nil && c.name != known.name {
		c.lines = append(c.lines, fmt.Sprintf("TLS Auth Error: username attempted to change from '%s' to '%s' -- tunnel disabled", known.name, c.name))
		c.refused = &refusal{log: "user name changed during the session"}
	}
	return c
}

// present is a token in the place of the password.
func (p *tokenPolicy) present(c *claim, known *identity, now time.Time) {
	t, err := p.key.Verify(c.pass, c.name, now, p.renewal, p.lifetime)
	switch expired := errors.Is(err, keys.ErrTokenExpired); {
	case err != nil && !expired:
		c.lines = append(c.lines, fmt.Sprintf("--auth-gen-token: HMAC on token from client failed (%s)", c.name))
		c.state = "Invalid"
	case known != nil && !known.token.Initial.IsZero() && (t.Session != known.token.Session || !t.Initial.Equal(known.token.Initial)):
		c.lines = append(c.lines, "--auth-gen-token: token of another session")
		c.state, err = "Invalid", keys.ErrToken
	default:
		c.state, c.token = "Authenticated", t
		if expired {
			c.lines = append(c.lines, "--auth-gen-token: auth-token from client expired")
			c.state, c.expired = "Expired", true
		}
		if t.User != c.name {
			c.state += "EmptyUser"
			c.user = t.User
		}
		c.name = t.User
	}
	if p.external {
		return
	}
	c.decided = true
	if err == nil && c.name != "" {
		c.lines = append(c.lines, fmt.Sprintf("TLS: Username/auth-token authentication succeeded for username '%s'", c.name))
		return
	}
	c.refused = &refusal{log: "auth-token refused", line: fmt.Sprintf("TLS: Username/auth-token authentication failed for username '%s'", c.name), level: logging.Info}
	if c.expired {
		c.refused.client = expiredText
	}
}
