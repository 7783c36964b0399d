package session

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// A token of a node whose clock is ahead is good where the policy allows that, for as far as it does.
func TestTokenOfAClockThatIsAhead(t *testing.T) {
	key := new(keys.TokenKey)
	now := time.Unix(1800000000, 0)
	for _, c := range []struct {
		ahead, allowed time.Duration
		want           Presented
	}{
		{0, 0, TokenGood}, {10 * time.Second, 0, TokenExpired}, {10 * time.Second, 2 * time.Minute, TokenGood}, {2 * time.Minute, 2 * time.Minute, TokenGood},
		{2*time.Minute + time.Second, 2 * time.Minute, TokenExpired}, {-2 * time.Hour, 2 * time.Minute, TokenExpired},
	} {
		issued := now.Add(c.ahead)
		text := key.Encode(keys.Token{Initial: issued, Issued: issued, User: "joe"})
		p := TokenPolicy{Key: key, Renewal: time.Hour, Ahead: c.allowed}
		if got := p.Claim("joe", text, nil, now).Presented; got != c.want {
			t.Errorf("%v ahead, %v allowed: %v, want %v", c.ahead, c.allowed, got, c.want)
		}
	}
}
