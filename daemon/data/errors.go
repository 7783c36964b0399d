package data

import "errors"

// Reasons to drop a packet. Each is counted in Counters.
var (
	ErrShort      = errors.New("data packet too short")
	ErrHeader     = errors.New("not a data packet of this channel")
	ErrNoKey      = errors.New("no key for this key-id")
	ErrAuth       = errors.New("data packet authentication failed")
	ErrReplay     = errors.New("replayed data packet")
	ErrFraming    = errors.New("unknown compression framing")
	ErrCompressed = errors.New("compressed packet refused")
	ErrFragment   = errors.New("bad fragment")
	ErrExhausted  = errors.New("data channel key used up, renegotiation needed")
	ErrTooBig     = errors.New("payload too large")
	ErrEmpty      = errors.New("empty payload")
)

// ErrUnknown is wrapped by New for an algorithm name that is not in the tables.
var ErrUnknown = errors.New("unknown algorithm")

// reasons lists the errors in the order of the counters.
var reasons = [...]error{ErrShort, ErrHeader, ErrNoKey, ErrAuth, ErrReplay, ErrFraming, ErrCompressed, ErrFragment,
	ErrExhausted, ErrTooBig, ErrEmpty}
