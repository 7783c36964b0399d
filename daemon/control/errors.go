package control

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Reasons why a session does not take a packet. The packet is dropped and nothing has changed.
var (
	ErrDirection = errors.New("opcode of the wrong direction")
	ErrSession   = errors.New("session id of another session")
	ErrEcho      = errors.New("acknowledgements for another session")
	ErrFirst     = errors.New("not the first packet of a session")
	ErrMalformed = errors.New("malformed control packet")
	ErrEarly     = errors.New("renewal before the current key is in use, or right after another")
)

// Reasons why a key fails; they come in [Failed] events.
var (
	ErrHandWindow = errors.New("key negotiation did not finish within the hand-window")
	ErrExpired    = errors.New("last key has expired")
	ErrMessage    = errors.New("malformed key message")
	ErrTooLong    = errors.New("message of the peer is too long")
)

// Errors of methods.
var (
	ErrClosed  = errors.New("session is closed")
	ErrNotUp   = errors.New("key is not negotiated yet")
	ErrBusy    = errors.New("a key negotiation is under way")
	ErrBacklog = errors.New("the peer does not acknowledge text messages")
	ErrText    = errors.New("text message too long, empty or with control characters")
	ErrKeySize = errors.New("key message does not fit one TLS record of 2048 bytes")
)

// KeyIDError is a packet for a key id that is neither in use nor the next one.
type KeyIDError struct {
	Op       wire.Opcode
	KeyID    uint8
	Expected []uint8
}

func (e *KeyIDError) Error() string {
	return fmt.Sprintf("keys are out of sync: %v for key id %d, known key ids %v", e.Op, e.KeyID, e.Expected)
}

// PanicError is a panic in the work for one peer.
type PanicError struct {
	Value any
	Stack []byte
}

// NewPanic keeps what recover returned, with the stack of the goroutine that panicked.
func NewPanic(v any) *PanicError { return &PanicError{v, debug.Stack()} }

func (e *PanicError) Error() string { return fmt.Sprintf("internal error: %v", e.Value) }

// TLSError is a failed handshake or a broken TLS connection.
type TLSError struct {
	Handshake bool // false: the connection was up
	Err       error
}

func (e *TLSError) Error() string {
	if e.Handshake {
		return "TLS handshake: " + e.Err.Error()
	}
	return "TLS: " + e.Err.Error()
}

func (e *TLSError) Unwrap() error { return e.Err }
