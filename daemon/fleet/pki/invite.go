package pki

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Invitations that wait at a time, and how long one can be good for.
const (
	invitesMost  = 64
	inviteLonger = 7 * 24 * time.Hour
)

// Token invites one node into a fleet, once.
type Token struct {
	// Address is where to ask: HOST:PORT of the talk of the node that invited.
	Address string `json:"a"`
	// CA is the fingerprint of the fleet's authority.
	CA string `json:"c"`
	// ID names the invitation.
	ID string `json:"i"`
	// Secret proves that the asker has the token.
	Secret string `json:"s"`
	// Expires is in Unix seconds, by the clock of the node that invited.
	Expires int64 `json:"e"`
}

// LogValue keeps the secret out of logs.
func (t Token) LogValue() slog.Value {
	return slog.StringValue("invitation " + t.ID + " of " + t.Address)
}

const tokenPrefix = "mgfleet1."

// Format is the token as people pass it on: letters, digits, '-', '_' and a dot.
func (t Token) Format() string {
	b, _ := json.Marshal(t) // strings and a number
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// ErrToken says that a text is no token.
var ErrToken = errors.New("this is no token of `moongate fleet invite`")

// ParseToken reads what Format wrote.
func ParseToken(text string) (Token, error) {
	var t Token
	coded, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ok {
		return t, fmt.Errorf("%w: it does not start with %s", ErrToken, tokenPrefix)
	}
	b, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil {
		return t, fmt.Errorf("%w: it is damaged, or a part is missing", ErrToken)
	}
	if err := json.Unmarshal(b, &t); err != nil || t.Address == "" || len(t.CA) != 64 || !isID(t.ID) || t.Secret == "" {
		return t, fmt.Errorf("%w: it is damaged, or a part is missing", ErrToken)
	}
	return t, nil
}

// invite is an invitation as its node keeps it.
type invite struct {
	Secret  string `json:"secret"` // its SHA-256
	Expires int64  `json:"expires"`
}

// Invite makes an invitation that is good for a while.
func (n *Node) Invite(good time.Duration, now time.Time) (Token, error) {
	if good < time.Minute || good > inviteLonger {
		return Token{}, fmt.Errorf("an invitation is good for a minute to 7 days, and not for %v", good)
	}
	authority, err := n.Authority()
	if err != nil {
		return Token{}, err
	}
	dir := filepath.Join(n.Dir, dirInvites)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return Token{}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Token{}, err
	}
	waiting := 0
	for _, e := range entries {
		if i, err := readInvite(filepath.Join(dir, e.Name())); err == nil && now.Unix() > i.Expires {
			os.Remove(filepath.Join(dir, e.Name()))
		} else {
			waiting++
		}
	}
	if waiting >= invitesMost {
		return Token{}, fmt.Errorf("%d invitations wait already: remove some of %s", waiting, dir)
	}
	t := Token{
		Address: TalkAddress(n.Address), CA: fingerprint(authority.cert), ID: newID(), Secret: rand.Text(),
		Expires: now.Add(good).Unix(),
	}
	b, err := json.Marshal(invite{Secret: hashed(t.Secret), Expires: t.Expires})
	if err != nil {
		return Token{}, err
	}
	return t, WriteFile(filepath.Join(dir, t.ID), b)
}

func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func isID(id string) bool {
	return len(id) == 8 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

func readInvite(path string) (invite, error) {
	var i invite
	b, err := os.ReadFile(path)
	if err != nil {
		return i, err
	}
	return i, json.Unmarshal(b, &i)
}

// Errors of invitations.
var (
	errNoInvite = errors.New("no such invitation, or it has been used: ask for a new one (moongate fleet invite)")
	errExpired  = errors.New("the invitation has expired: ask for a new one (moongate fleet invite)")
)

// findInvite is the file of an invitation that a secret opens.
func (n *Node) findInvite(id, secret string, now time.Time) (path string, err error) {
	if !isID(id) {
		return "", errNoInvite
	}
	path = filepath.Join(n.Dir, dirInvites, id)
	i, err := readInvite(path)
	if err != nil || subtle.ConstantTimeCompare([]byte(i.Secret), []byte(hashed(secret))) != 1 {
		return "", errNoInvite
	}
	if now.Unix() > i.Expires {
		return "", errExpired
	}
	return path, nil
}
