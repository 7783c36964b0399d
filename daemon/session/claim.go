package session

import (
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// TokenPolicy is auth-gen-token as it is in force.
type TokenPolicy struct {
	Key               *keys.TokenKey // nil: there are no tokens, and a password that looks like one is a password
	Renewal, Lifetime time.Duration
	External          bool // the verifiers decide about tokens too
	// Ahead is how far in the future a token may have been issued: by a node whose clock is ahead of ours.
	Ahead time.Duration
}

// Gives reports whether a client that goes by name gets tokens. A token for the empty name would fit every name, so only
// verifiers that are asked about tokens may accept one.
func (p *TokenPolicy) Gives(name string) bool { return p.Key != nil && (name != "" || p.External) }

// Owner is fixed by the first login of a session.
type Owner struct {
	Login string     // the name it was made with
	Name  string     // the name in force: Login, or the one that override-username put in its place
	Token keys.Token // its session: the zero Initial before the first token
}

// Claim is the identity that a key message claims, and how to verify it.
//
//	Name ""                 no credentials at all: the password does not count
//	password                the claimed name
//	token for that name     that name
//	token for no name       no name, whatever was claimed
type Claim struct {
	Name       string     // whose login it is
	User, Pass string     // for the verifiers
	State      string     // session_state for scripts, "" without tokens
	Token      keys.Token // that came as password and is ours, expired or not
	Presented  Presented
	Decided    bool // the token alone decides: the verifiers are not asked
	Refusal    ClaimRefusal
}

// Presented is the outcome for a token that came as password.
type Presented uint8

// Outcomes for tokens.
const (
	NoToken      Presented = iota
	TokenGood              // ours, of this session, young enough
	TokenExpired           // ours, too old
	TokenForged            // not made with our key, or for another name
	TokenForeign           // of another session
)

// ClaimRefusal is why a claim is refused before a verifier is asked.
type ClaimRefusal uint8

// Reasons for refusals.
const (
	ClaimStands ClaimRefusal = iota
	TokenRefused
	NameChanged // a renewal by another name than the first login's
)

// Claim reads the credentials of a key message. known is nil for the first login of a session.
//
// Rule: docs/protocol.md#46-auth-token; TestTokenMatrix compares every combination with stock.
func (p *TokenPolicy) Claim(user, pass string, known *Owner, now time.Time) Claim {
	if user == "" {
		pass = ""
	}
	c := Claim{Name: user, User: user, Pass: pass}
	if known != nil && user == known.Login {
		c.Name = known.Name
	}
	if p.Key != nil {
		c.State = "Initial"
		if keys.IsToken(pass) {
			p.present(&c, known, now)
		}
	}
	if known != nil && c.Refusal == ClaimStands && c.Name != known.Name {
		c.Refusal = NameChanged
	}
	return c
}

// present takes a token in the place of the password.
func (p *TokenPolicy) present(c *Claim, known *Owner, now time.Time) {
	t, err := p.Key.Verify(c.Pass, c.Name, now, p.Renewal, p.Lifetime)
	if err != nil && t.Issued.After(now) && !t.Issued.After(now.Add(p.Ahead)) {
		t, err = p.Key.Verify(c.Pass, c.Name, t.Issued, p.Renewal, p.Lifetime)
	}
	expired := errors.Is(err, keys.ErrTokenExpired)
	switch {
	case err != nil && !expired:
		c.State, c.Presented = "Invalid", TokenForged
	case known != nil && !known.Token.Initial.IsZero() && (t.Session != known.Token.Session || !t.Initial.Equal(known.Token.Initial)):
		c.State, c.Presented = "Invalid", TokenForeign
	default:
		c.State, c.Presented, c.Token = "Authenticated", TokenGood, t
		if expired {
			c.State, c.Presented = "Expired", TokenExpired
		}
		if t.User != c.Name {
			c.State += "EmptyUser"
			c.User = t.User
		}
		c.Name = t.User
	}
	if p.External {
		return
	}
	c.Decided = true
	if c.Presented != TokenGood || c.Name == "" {
		c.Refusal = TokenRefused
	}
}
