package data

import (
	"errors"
	"fmt"
)

// OpenErrorText is the log line for a packet that Open refused. What failed stands first: a key that does not fit, a replay,
// a key id, or the framing. Only the first is trouble with keys.
func OpenErrorText(err error, cipher string) string {
	head := "Authenticate/Decrypt packet error: "
	aead := false
	if s, ok := Lookup(cipher); ok && s.Mode == AEAD {
		head, aead = "AEAD Decrypt error: ", true
	}
	switch {
	case errors.Is(err, ErrAuth) && aead:
		return head + "cipher final failed"
	case errors.Is(err, ErrAuth):
		return head + "packet HMAC authentication failed"
	case errors.Is(err, ErrReplay):
		return head + "bad packet ID (may be a replay) -- see the man page entry for --replay-window for more info or silence this warning with --mute-replay-warnings"
	case errors.Is(err, ErrNoKey):
		return fmt.Sprintf("TLS Error: local/remote TLS keys are out of sync: %v", err)
	case errors.Is(err, ErrFraming), errors.Is(err, ErrCompressed):
		return fmt.Sprintf("Decompression error: %v", err)
	case errors.Is(err, ErrFragment):
		return fmt.Sprintf("FRAG_IN error: %v", err)
	default:
		return fmt.Sprintf("Data packet dropped: %v", err)
	}
}
