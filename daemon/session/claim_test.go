package session

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// A token logs in the name it was made for and no other. test/TestTokenMatrix compares the same matrix with stock.
func TestClaim(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	key, err := keys.GenerateTokenKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := keys.GenerateTokenKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	session, err := keys.NewToken(rand.Reader, "guest", now.Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	token := func(user string, age time.Duration, k *keys.TokenKey) string {
		tok := session
		tok.User, tok.Issued = user, now.Add(-age)
		return k.Encode(tok)
	}
	const fresh, old = time.Second, time.Hour
	nameless := &Owner{Token: session}
	guest := &Owner{Login: "guest", Name: "guest", Token: session}
	luna := &Owner{Login: "user1", Name: "luna", Token: session}
	elsewhere := &Owner{Login: "guest", Name: "guest", Token: keys.Token{Session: [12]byte{1}, Initial: now}}
	for _, tt := range []struct {
		name       string
		known      *Owner
		user, pass string
		internal   string // owner and what follows, when the server decides
		external   string // the same with external-auth
	}{
		{"password", nil, "guest", "pw", "guest ask guest Initial", "guest ask guest Initial"},
		{"no name", nil, "", "pw", "'' ask '' Initial", "'' ask '' Initial"},
		{"token", nil, "guest", token("guest", fresh, key), "guest in Authenticated", "guest ask guest Authenticated"},
		{"token of another name", nil, "admin", token("guest", fresh, key), "admin out Invalid", "admin ask admin Invalid"},
		{"token for no name with a name", nil, "admin", token("", fresh, key), "'' out AuthenticatedEmptyUser", "'' ask '' AuthenticatedEmptyUser"},
		{"token for no name without one", nil, "", token("", fresh, key), "'' ask '' Initial", "'' ask '' Initial"},
		{"expired", nil, "guest", token("guest", old, key), "guest out Expired (told)", "guest ask guest Expired (told)"},
		{"expired, for no name", nil, "admin", token("", old, key), "'' out ExpiredEmptyUser (told)", "'' ask '' ExpiredEmptyUser (told)"},
		{"another key", nil, "guest", token("guest", fresh, other), "guest out Invalid", "guest ask guest Invalid"},
		{"cut", nil, "guest", token("guest", fresh, key)[:40], "guest out Invalid", "guest ask guest Invalid"},

		{"renewal by password", guest, "guest", "pw", "guest ask guest Initial", "guest ask guest Initial"},
		{"renewal by another name", guest, "admin", "pw", "admin out Initial", "admin out Initial"},
		{"renewal without a name", guest, "", "pw", "'' out Initial", "'' out Initial"},
		{"renewal by token", guest, "guest", token("guest", fresh, key), "guest in Authenticated", "guest ask guest Authenticated"},
		{"renewal by a token for no name", guest, "guest", token("", fresh, key), "'' out AuthenticatedEmptyUser", "'' out AuthenticatedEmptyUser"},
		{"renewal by a token of another session", elsewhere, "guest", token("guest", fresh, key), "guest out Invalid", "guest ask guest Invalid"},
		{"renewal of the nameless", nameless, "", "", "'' ask '' Initial", "'' ask '' Initial"},
		{"renewal of the nameless by token", nameless, "jane", token("", fresh, key), "'' out AuthenticatedEmptyUser", "'' ask '' AuthenticatedEmptyUser"},
		{"renewal of the nameless with a name", nameless, "admin", "pw", "admin out Initial", "admin out Initial"},

		{"renewal by the name of the login", luna, "user1", "pw", "luna ask user1 Initial", "luna ask user1 Initial"},
		{"renewal by the name in its place", luna, "luna", token("luna", fresh, key), "luna in Authenticated", "luna ask luna Authenticated"},
		{"renewal by the name of the login with a token", luna, "user1", token("luna", fresh, key), "luna in Authenticated", "luna ask user1 Authenticated"},
		{"renewal by a token of the name of the login", luna, "user1", token("user1", fresh, key), "luna out Invalid", "luna ask user1 Invalid"},
	} {
		for mode, want := range map[string]string{"internal": tt.internal, "external": tt.external} {
			t.Run(tt.name+" "+mode, func(t *testing.T) {
				p := &TokenPolicy{Key: key, Renewal: 5 * time.Minute, Lifetime: time.Hour, External: mode == "external"}
				if got := outcome(p.Claim(tt.user, tt.pass, tt.known, now)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	}
	t.Run("tokens off", func(t *testing.T) {
		if got := outcome(new(TokenPolicy).Claim("guest", token("guest", fresh, key), nil, now)); got != "guest ask guest " {
			t.Errorf("got %s: what looks like a token is a password", got)
		}
	})
}

// outcome is whose login a claim is, what becomes of it or who is asked about, and its state.
func outcome(c Claim) string {
	shown := func(s string) string {
		if s == "" {
			return "''"
		}
		return s
	}
	then := "ask " + shown(c.User)
	switch {
	case c.Refusal != ClaimStands:
		then = "out"
	case c.Decided:
		then = "in"
	}
	told := ""
	if c.Presented == TokenExpired {
		told = " (told)"
	}
	return fmt.Sprintf("%s %s %s%s", shown(c.Name), then, c.State, told)
}

// Clients without a name get a token only where the verifiers are asked about tokens.
func TestTokensAreForNames(t *testing.T) {
	key := new(keys.TokenKey)
	for _, tt := range []struct {
		policy TokenPolicy
		name   string
		want   bool
	}{
		{TokenPolicy{}, "guest", false},
		{TokenPolicy{Key: key}, "guest", true},
		{TokenPolicy{Key: key}, "", false},
		{TokenPolicy{Key: key, External: true}, "", true},
	} {
		if got := tt.policy.Gives(tt.name); got != tt.want {
			t.Errorf("%v gives a token to %q: %v, want %v", strings.TrimSpace(fmt.Sprint(tt.policy.External)), tt.name, got, tt.want)
		}
	}
}
