package data

import (
	"errors"
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// NoPeerID is the 24-bit peer-id that means "none".
const NoPeerID = 0xFFFFFF

// maxPayload is the largest payload, in bytes, that fragments or a compressed packet may grow into.
const maxPayload = 65535

// Params describe a data channel. They do not change during a session; renegotiations only bring new keys.
type Params struct {
	Role   keys.Role
	Cipher string // a name known to Ciphers, case does not matter
	Auth   string // HMAC digest, "none" for none; unused by AEAD ciphers
	PeerID uint32 // 24 bits, for V2
	V2     bool   // opcode and peer-id in front (P_DATA_V2), else one byte (P_DATA_V1)
	Epoch  bool   // 64-bit packet ids and key epochs; AEAD and V2 only
	Static bool   // static-key mode, set by NewStatic; to be set for MSSLimitOf and FragmentSizeOf

	Framing    Framing
	Decompress bool // accept really compressed packets (allow-compression asym or yes)

	// Fragment is the largest fragment in bytes of framed payload, without the fragment header; 0 turns fragment
	// headers off. FragmentSizeOf computes it from the option.
	Fragment int
	// MSSLimit is the largest TCP MSS inside IPv4; inside IPv6 it is 20 less. 0 is off. MSSLimitOf computes it.
	MSSLimit int

	// ReplayWindow is the window in packets, 0 demands strict order; NoReplay turns the test off altogether.
	ReplayWindow int
	ReplayTime   time.Duration
	NoReplay     bool

	TAP bool // payloads are Ethernet frames
}

// check returns the two algorithms, or an error naming the parameter that does not fit.
func (p *Params) check() (suite *Suite, d *keys.Digest, err error) {
	suite, ok := Lookup(p.Cipher)
	if !ok {
		return nil, nil, fmt.Errorf("cipher %q: %w", p.Cipher, ErrUnknown)
	}
	if suite.Mode != AEAD {
		if d, err = parseDigest(p.Auth); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case p.Epoch && (suite.Mode != AEAD || !p.V2):
		return nil, nil, errors.New("epoch keys need an AEAD cipher and a peer-id")
	case p.Static && (suite.Mode == AEAD || p.V2):
		return nil, nil, errors.New("static-key mode needs a cipher without AEAD and has no peer-id")
	case p.Framing > FramingLZ4V2:
		return nil, nil, fmt.Errorf("framing %d: %w", p.Framing, ErrUnknown)
	case p.Fragment < 0 || p.Fragment > 0 && p.Fragment < minFragment:
		return nil, nil, fmt.Errorf("fragment size %d is below %d bytes", p.Fragment, minFragment)
	}
	return suite, d, nil
}
