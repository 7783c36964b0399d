package session

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

var (
	chainA = [32]byte{1}
	chainB = [32]byte{2}
)

// Two sessions belong to one client by their certificates and names; without a common name, the user name counts.
func TestSameClient(t *testing.T) {
	a := Identity{chainA, "cn", "user"}
	for name, tt := range map[string]struct {
		a, b Identity
		want bool
	}{
		"itself":                 {a, a, true},
		"another user name":      {a, Identity{chainA, "cn", "other"}, true},
		"another name":           {a, Identity{chainA, "other", "user"}, false},
		"other certificates":     {a, Identity{chainB, "cn", "user"}, false},
		"none":                   {a, Identity{[32]byte{}, "cn", "user"}, false},
		"user names alone":       {Identity{User: "u"}, Identity{User: "u"}, true},
		"two user names":         {Identity{User: "u"}, Identity{User: "v"}, false},
		"nothing about either":   {Identity{}, Identity{}, true},
		"certificates, no names": {Identity{Certificates: chainA, User: "u"}, Identity{Certificates: chainA, User: "v"}, false},
	} {
		if got := tt.a.Same(&tt.b); got != tt.want || tt.b.Same(&tt.a) != tt.want {
			t.Errorf("%s: %v, want %v both ways", name, got, tt.want)
		}
	}
}

// No session loses its address to a float of another client.
func TestFloat(t *testing.T) {
	id := Identity{chainA, "cn", "user"}
	other := Identity{chainB, "other", "other"}
	there := func(id Identity, s Stage) *Party { return &Party{Identity: id, Stage: s} }
	for name, tt := range map[string]struct {
		stage Stage
		there *Party
		want  FloatOutcome
	}{
		"no tunnel":                     {Configured, nil, FloatIgnored},
		"gone":                          {Gone, nil, FloatIgnored},
		"free":                          {Established, nil, FloatMoves},
		"an older session of its own":   {Established, there(id, Established), FloatReplaces},
		"one that is about to be up":    {Established, there(id, Authorised), FloatReplaces},
		"another client":                {Established, there(other, Established), FloatRefused},
		"one that has not logged in":    {Established, there(Identity{}, Handshake), FloatRefused},
		"its own, that has not":         {Established, there(id, Handshake), FloatRefused},
		"its own, as another user":      {Established, there(Identity{chainA, "cn", "guest"}, Established), FloatRefused},
		"one with another certificate":  {Established, there(Identity{chainB, "cn", "user"}, Established), FloatRefused},
		"one with a certificate of its": {Established, there(Identity{chainA, "b", "user"}, Established), FloatRefused},
	} {
		p := Party{Identity: id, Stage: tt.stage}
		if got := p.Float(tt.there); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// Only a hard reset of another session starts a challenger, and a forged one does not keep the next one out for long.
func TestMayChallenge(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	own, peer, other := wire.SessionID{1}, wire.SessionID{2}, wire.SessionID{3}
	held := func(id wire.SessionID, age time.Duration) *Challenger { return &Challenger{id, now.Add(-age)} }
	for name, tt := range map[string]struct {
		stage   Stage
		current *Challenger
		op      wire.Opcode
		peer    wire.SessionID
		want    bool
	}{
		"the first":               {Established, nil, wire.OpControlHardResetClientV2, peer, true},
		"with a client's key":     {Established, nil, wire.OpControlHardResetClientV3, peer, true},
		"in the handshake":        {Handshake, nil, wire.OpControlHardResetClientV2, peer, true},
		"no reset":                {Established, nil, wire.OpControlV1, peer, false},
		"a server's reset":        {Established, nil, wire.OpControlHardResetServerV2, peer, false},
		"a soft reset":            {Established, nil, wire.OpControlSoftResetV1, peer, false},
		"its own session":         {Established, nil, wire.OpControlHardResetClientV2, own, false},
		"gone":                    {Gone, nil, wire.OpControlHardResetClientV2, peer, false},
		"repeated":                {Established, held(peer, time.Hour), wire.OpControlHardResetClientV2, peer, false},
		"another, at once":        {Established, held(other, 999*time.Millisecond), wire.OpControlHardResetClientV2, peer, false},
		"another, a second later": {Established, held(other, time.Second), wire.OpControlHardResetClientV2, peer, true},
	} {
		p := Party{Stage: tt.stage}
		if got := p.MayChallenge(own, tt.current, tt.op, tt.peer, now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// A challenger replaces its own client, and another one only when there is nothing to lose.
func TestSucceededBy(t *testing.T) {
	id, other := Identity{chainA, "cn", "user"}, Identity{chainB, "other", "user"}
	for name, tt := range map[string]struct {
		old        Party
		challenger Identity
		want       Succession
	}{
		"the same client":                    {Party{id, Established, Stays}, id, SuccessionInherits},
		"the same, that leaves":              {Party{id, Established, SaidGoodbye}, id, SuccessionInherits},
		"another client":                     {Party{id, Established, Stays}, other, SuccessionRefused},
		"another, the old one in its hooks":  {Party{id, Authorised, Stays}, other, SuccessionRefused},
		"another, the old one never came in": {Party{Identity{}, Handshake, Stays}, other, SuccessionInherits},
		"another, the old one said goodbye":  {Party{id, Established, SaidGoodbye}, other, SuccessionReplaces},
		"another, the old one was sent away": {Party{id, Established, SentAway}, other, SuccessionReplaces},
	} {
		if got := tt.old.SucceededBy(&Party{Identity: tt.challenger, Stage: Handshake}); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
