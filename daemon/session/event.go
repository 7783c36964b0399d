package session

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

// Event is something that an engine has to act on: one of the types below, or of package control InitialPacket,
// NeedCredentials, TLSUp, Active, Text and Failed. The other events of package control are dealt with here.
type Event any

type (
	// KeyMessage brings the strings of the peer's key message, which are the receiver's. On a server it opens the login with
	// the number Login: the engine answers with Ask, Verdict or Refuse.
	KeyMessage struct {
		KeyID   uint8
		Login   uint64 // 0 on a client
		Message *keys.Message
	}

	// Deferred says that the verdict about a login comes later. It comes once.
	Deferred struct{ KeyID uint8 }

	// Accepted says that all verifiers accept a login. Deferred: the event Deferred came before.
	Accepted struct {
		KeyID    uint8
		Deferred bool
	}

	// Refused says that a login is refused: Why is the verifier's, or ErrOverdue.
	Refused struct {
		KeyID    uint8
		Why      error
		Deferred bool
	}

	// Introduced says that a key is active whose login is accepted or deferred. It comes once for a key.
	Introduced struct {
		KeyID    uint8
		Accepted bool
	}

	// Admitted says that a key is active and its login accepted. The data channel has the key, but for the first one: for
	// that the engine calls Open.
	Admitted struct{ KeyID uint8 }

	// TurnedAway says that a login is refused and its key active, or failed beside one that is: texts reach the peer, and the
	// engine tells it.
	TurnedAway struct {
		KeyID uint8
		Why   error
	}

	// Unusable says that the data channel did not get the keys of KeyID.
	Unusable struct {
		KeyID uint8
		Err   error
	}

	// SoftReset is the beginning of a renewal. Age and Done are those of the newest key before it.
	SoftReset struct {
		KeyID  uint8
		ByPeer bool
		Age    time.Duration
		Done   data.KeyUsage
	}

	// Left says that the time which Leave gave the session is over.
	Left struct{}
)
