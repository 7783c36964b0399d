package keys

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type tokenVector struct {
	Key      hexBytes `json:"server_key_128"`
	Username string   `json:"username"`
	Session  hexBytes `json:"session"`
	Initial  int64    `json:"initial_ts"`
	Issued   int64    `json:"ts"`
	Token    string   `json:"token"`
}

func loadToken(t testing.TB) (tokenVector, *TokenKey, Token) {
	t.Helper()
	var v struct {
		Token tokenVector `json:"auth_token"`
	}
	load(t, "i_misc.json", &v)
	return v.Token, (*TokenKey)(v.Token.Key), Token{
		User:    v.Token.Username,
		Session: [12]byte(v.Token.Session),
		Initial: time.Unix(v.Token.Initial, 0),
		Issued:  time.Unix(v.Token.Issued, 0),
	}
}

func TestToken(t *testing.T) {
	v, key, want := loadToken(t)
	if diff := cmp.Diff(v.Token, key.Encode(want)); diff != "" {
		t.Error(diff)
	}
	otherKey := *key
	otherKey[64] ^= 1
	noName := want
	noName.User = ""
	const renewal, lifetime = 300 * time.Second, 1000 * time.Second
	tests := []struct {
		name, text, user string
		key              *TokenKey
		after            time.Duration // since it was issued, which is 300 s after the initial one
		lifetime         time.Duration
		want             Token
		err              error
	}{
		{"fresh", v.Token, "alice", key, 0, lifetime, want, nil},
		{"a fraction of the same second", v.Token, "alice", key, time.Millisecond, lifetime, want, nil},
		{"before it was issued", v.Token, "alice", key, -time.Second, lifetime, want, ErrTokenExpired},
		{"last second", v.Token, "alice", key, 599 * time.Second, lifetime, want, nil},
		{"two renewals later", v.Token, "alice", key, 600 * time.Second, lifetime, want, ErrTokenExpired},
		{"end of life", v.Token, "alice", key, 500 * time.Second, 800 * time.Second, want, nil},
		{"past its life", v.Token, "alice", key, 501 * time.Second, 800 * time.Second, want, ErrTokenExpired},
		{"no end of life", v.Token, "alice", key, 599 * time.Second, 0, want, nil},
		{"another user", v.Token, "bob", key, 0, lifetime, Token{}, ErrToken},
		{"signed for nobody", key.Encode(noName), "bob", key, 0, lifetime, noName, nil},
		{"another key", v.Token, "alice", &otherKey, 0, lifetime, Token{}, ErrToken},
		{"a password", "secret1", "alice", key, 0, lifetime, Token{}, ErrTokenForm},
		{"cut", v.Token[:len(v.Token)-4], "alice", key, 0, lifetime, Token{}, ErrTokenForm},
		{"too long", v.Token + "AAAA", "alice", key, 0, lifetime, Token{}, ErrTokenForm},
		{"line feed inside", v.Token[:20] + "\n" + v.Token[20:], "alice", key, 0, lifetime, Token{}, ErrTokenForm},
		{"not base64", strings.Replace(v.Token, "FWRo", "!!!!", 1), "alice", key, 0, lifetime, Token{}, ErrTokenForm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.key.Verify(tt.text, tt.user, want.Issued.Add(tt.after), renewal, tt.lifetime)
			if !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTokenRenewal(t *testing.T) {
	now := time.Unix(1_700_000_000, 5)
	first, err := NewToken(bytes.NewReader(bytes.Repeat([]byte{3}, 12)), "alice", now)
	if err != nil {
		t.Fatal(err)
	}
	next := first.Renew(now.Add(time.Hour))
	if next.User != first.User || next.Session != first.Session || !next.Initial.Equal(first.Initial) || next.Issued.Sub(first.Issued) != time.Hour {
		t.Errorf("%+v became %+v", first, next)
	}
	if name := first.SessionName(); len(name) != 16 {
		t.Errorf("session name %q", name)
	}
	if _, err := NewToken(bytes.NewReader(nil), "alice", now); err == nil {
		t.Error("no error without randomness")
	}
	if !IsToken(tokenPrefix+"x") || IsToken("secret") {
		t.Error("IsToken")
	}
}

func FuzzToken(f *testing.F) {
	v, key, tok := loadToken(f)
	for cut := range len(v.Token) + 1 {
		f.Add(v.Token[:cut])
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := key.Verify(in, v.Username, tok.Issued, time.Hour, 0)
		if err == nil && key.Encode(got) != in {
			t.Errorf("accepted %q, which is not what we would write", in)
		}
	})
}
