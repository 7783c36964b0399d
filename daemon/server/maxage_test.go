package server

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

// tls-crypt-v2-max-age lets keys in that are young enough and say so; without it, and for other wrappings, nobody asks.
func TestMaxAge(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	const day = 24 * time.Hour
	key := new(keys.StaticKey)
	for _, tt := range []struct {
		name    string
		max     time.Duration
		first   ctrlwrap.First
		refused bool
	}{
		{"young", 30 * day, ctrlwrap.First{ClientKey: key, Metadata: keys.TimeMetadata(now.Add(-29 * day))}, false},
		{"old", 30 * day, ctrlwrap.First{ClientKey: key, Metadata: keys.TimeMetadata(now.Add(-31 * day))}, true},
		{"without time", 30 * day, ctrlwrap.First{ClientKey: key, Metadata: []byte("\x00user")}, true},
		{"without metadata", 30 * day, ctrlwrap.First{ClientKey: key}, true},
		{"not asked", 0, ctrlwrap.First{ClientKey: key}, false},
		{"other wrapping", 30 * day, ctrlwrap.First{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := admission{max: 1, maxAge: tt.max}
			if why := a.refuses(&tt.first, outer{}, false, now); (why != "") != tt.refused {
				t.Errorf("got %q, want refused %v", why, tt.refused)
			}
		})
	}
}
