package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// tokenPrefix begins every auth-token made by a stock server or by us; clients treat tokens as opaque.
const tokenPrefix = "SESS_ID_AT_"

// Errors of VerifyToken.
var (
	ErrTokenForm    = errors.New("keys: not an auth-token")
	ErrToken        = errors.New("keys: auth-token not issued with this key")
	ErrTokenExpired = errors.New("keys: auth-token expired")
)

const (
	tokenSessionSize = 12
	tokenSignedSize  = tokenSessionSize + 8 + 8
	tokenSize        = tokenSignedSize + sha256.Size // 60 bytes, 80 base64 characters
)

// Token is the content of an auth-token. Session and Initial survive renewals and stay fixed in a client instance.
type Token struct {
	User    string // the name it was made for, which is the only one it logs in
	Session [tokenSessionSize]byte
	Initial time.Time // first token of the session, whole seconds
	Issued  time.Time // this token, whole seconds
}

// IsToken reports whether a password has the shape of an auth-token of ours.
func IsToken(password string) bool { return strings.HasPrefix(password, tokenPrefix) }

// NewToken starts a token session of user at now, with a random session name.
func NewToken(rand io.Reader, user string, now time.Time) (Token, error) {
	t := Token{User: user, Initial: now.Truncate(time.Second), Issued: now.Truncate(time.Second)}
	if _, err := io.ReadFull(rand, t.Session[:]); err != nil {
		return Token{}, fmt.Errorf("generate auth-token: %w", err)
	}
	return t, nil
}

// Renew is the follower of t, issued at now.
func (t Token) Renew(now time.Time) Token {
	t.Issued = now.Truncate(time.Second)
	return t
}

// LogValue shows when the token was issued and hides the session name.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(slog.Time("initial", t.Initial), slog.Time("issued", t.Issued))
}

// SessionName is the base64 form of the session, as scripts see it.
func (t Token) SessionName() string { return base64.StdEncoding.EncodeToString(t.Session[:]) }

// Encode signs t and gives the text to push.
//
//	"SESS_ID_AT_" | base64(session 12 | initial u64 | issued u64 | HMAC-SHA256 32)
//
// with the HMAC over user | session | initial | issued. Rule: docs/protocol.md#46-auth-token.
func (k *TokenKey) Encode(t Token) string {
	var b [tokenSize]byte
	copy(b[:], t.Session[:])
	binary.BigEndian.PutUint64(b[12:], uint64(t.Initial.Unix()))
	binary.BigEndian.PutUint64(b[20:], uint64(t.Issued.Unix()))
	k.sign(b[tokenSignedSize:], t.User, b[:tokenSignedSize])
	return tokenPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// Verify checks a token presented with the user name claimed.
//
// A valid token's HMAC matches for the claimed or for the empty name, and issued ≤ now < issued + 2·renewal, and now ≤
// initial + lifetime; a lifetime of 0 has no end. The token's User tells which of the two names it was made for: callers
// go by that one, never by claimed. Verify returns ErrTokenForm for another shape, ErrToken for another key or name, and
// ErrTokenExpired together with the token outside its times.
func (k *TokenKey) Verify(text, claimed string, now time.Time, renewal, lifetime time.Duration) (Token, error) {
	enc, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return Token{}, ErrTokenForm
	}
	b, err := base64.StdEncoding.Strict().DecodeString(enc)
	if err != nil || len(b) != tokenSize || len(enc) != base64.StdEncoding.EncodedLen(tokenSize) {
		return Token{}, ErrTokenForm
	}
	signed, mac := b[:tokenSignedSize], b[tokenSignedSize:]
	var want [sha256.Size]byte
	k.sign(want[:], claimed, signed)
	named := hmac.Equal(mac, want[:])
	k.sign(want[:], "", signed)
	empty := hmac.Equal(mac, want[:])
	if !named && !empty {
		return Token{}, ErrToken
	}
	t := Token{
		Session: [tokenSessionSize]byte(b),
		Initial: time.Unix(int64(binary.BigEndian.Uint64(b[12:])), 0),
		Issued:  time.Unix(int64(binary.BigEndian.Uint64(b[20:])), 0),
	}
	if named {
		t.User = claimed
	}
	// Whole seconds, as stock counts: now has a fraction, the token has none.
	now = now.Truncate(time.Second)
	switch {
	case now.Before(t.Issued), !now.Before(t.Issued.Add(2 * renewal)):
		return t, ErrTokenExpired
	case lifetime > 0 && now.After(t.Initial.Add(lifetime)):
		return t, ErrTokenExpired
	}
	return t, nil
}

func (k *TokenKey) sign(dst []byte, user string, signed []byte) {
	mac := hmac.New(sha256.New, k.hmac())
	io.WriteString(mac, user)
	mac.Write(signed)
	mac.Sum(dst[:0])
}
