package control

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tls"
)

// Event is something an engine wants to know. It is one of the types below.
type Event interface{ event() }

type (
	// InitialPacket is the first packet of the peer's session. It comes once.
	InitialPacket struct{}

	// NeedCredentials asks a client's engine for SetCredentials: TLS is up, and the key message waits.
	NeedCredentials struct{ KeyID uint8 }

	// TLSUp is the end of a TLS handshake: the peer's certificate is good.
	TLSUp struct {
		KeyID uint8
		State tls.ConnectionState
	}

	// KeyMessage brings the strings of the peer's key message; the key material in it is cleared. It is
	// the receiver's.
	KeyMessage struct {
		KeyID   uint8
		Message *keys.Message
	}

	// Active says that both key messages are exchanged and everything we sent is acked. Text messages
	// flow from here on. Started is when the negotiation began, which the choice of the sending key
	// counts from.
	Active struct {
		KeyID   uint8
		Started time.Time
	}

	// Text is one text message of the peer, without NUL and line ends; it has no control characters.
	Text struct{ Text string }

	// SoftReset is the beginning of a renewal. KeyID is the new one, which is primary now.
	SoftReset struct {
		KeyID   uint8
		ByPeer  bool
		Started time.Time
	}

	// Expired says that the keys of KeyID are to be dropped: the lame duck was replaced or has timed out.
	Expired struct{ KeyID uint8 }

	// Failed says that the negotiation of KeyID came to nothing, or that the peer ended its TLS
	// connection. Dead means that no key is left and the session is over; otherwise the key before it
	// goes on.
	Failed struct {
		KeyID uint8
		Err   error // ErrHandWindow, ErrExpired, ErrMessage or *TLSError, possibly wrapped
		Dead  bool
	}
)

func (InitialPacket) event()   {}
func (NeedCredentials) event() {}
func (TLSUp) event()           {}
func (KeyMessage) event()      {}
func (Active) event()          {}
func (Text) event()            {}
func (SoftReset) event()       {}
func (Expired) event()         {}
func (Failed) event()          {}
