package data

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// Channel is the data channel of one session. It costs a few hundred bytes plus about two KB for each key.
type Channel struct {
	p      Params
	suite  *Suite
	digest *keys.Digest
	static bool // no header, long packet ids

	mu   sync.Mutex // orders writers of keys
	keys atomic.Pointer[keyring]

	fragSeq   atomic.Uint32
	fragments *reassembly // allocated by the first fragment; Open's caller

	Counters Counters
}

// New checks p and returns a channel without keys. The error is ErrUnknown for an algorithm, or says which parameters do not go together.
func New(p Params) (*Channel, error) {
	suite, d, err := p.check()
	if err != nil {
		return nil, err
	}
	c := &Channel{p: p, suite: suite, digest: d, static: p.Static}
	c.keys.Store(new(keyring))
	return c, nil
}

// NewStatic returns a channel of static-key mode with its only key. p.Role, PeerID, V2 and Epoch are not used; the
// cipher must not be AEAD.
func NewStatic(p Params, key *keys.StaticKey, dir keys.Direction) (*Channel, error) {
	p.V2, p.Epoch, p.Static = false, false, true
	c, err := New(p)
	if err != nil {
		return nil, err
	}
	s, err := c.newSlot(0, material{key.Cipher(dir.Send()), key.HMAC(dir.Send())},
		material{key.Cipher(dir.Receive()), key.HMAC(dir.Receive())})
	if err != nil {
		return nil, err
	}
	c.keys.Store(&keyring{slots: []*slot{s}})
	return c, nil
}

// Params returns what the channel was made with.
func (c *Channel) Params() Params { return c.p }

// Ready reports whether there is a key to send with.
func (c *Channel) Ready() bool { return len(c.keys.Load().slots) > 0 }

// Seal appends one packet with payload to dst. payload is the caller's but may be changed (mssfix); it must not
// overlap dst. Bytes of dst's spare capacity behind the packet are scribbled on. Without enough capacity dst grows,
// else nothing is allocated.
//
// Errors: ErrNoKey, ErrExhausted, ErrEmpty, ErrTooBig when payload needs more than one fragment (use SealBatch).
func (c *Channel) Seal(dst, payload []byte, now time.Time) ([]byte, error) {
	c.clamp(payload)
	return c.seal(dst, payload, now)
}

// SealControl is Seal for in-band payloads (OCC), with the same errors: no mssfix.
func (c *Channel) SealControl(dst, payload []byte, now time.Time) ([]byte, error) {
	return c.seal(dst, payload, now)
}

// SealPing appends a keepalive packet. Errors: ErrNoKey, ErrExhausted.
func (c *Channel) SealPing(dst []byte, now time.Time) ([]byte, error) {
	return c.seal(dst, pingMagic, now)
}

// SealExit appends an OCC exit packet. Errors: ErrNoKey, ErrExhausted.
func (c *Channel) SealExit(dst []byte, now time.Time) ([]byte, error) {
	return c.seal(dst, AppendOCC(nil, OCCExit, nil), now)
}

// Overhead is the most bytes a packet is longer than its payload: header, packet id, tag or HMAC, IV, padding, framing
// and fragment header.
func (c *Channel) Overhead() int {
	n := c.codecOverhead() + c.p.Framing.overhead()
	if c.p.Fragment > 0 {
		n += fragHeader
	}
	return n
}

func (c *Channel) codecOverhead() int {
	n := 0
	switch {
	case c.static:
	case c.p.V2:
		n = 4
	default:
		n = 1
	}
	switch {
	case c.p.Epoch:
		return n + 8 + tagSize
	case c.suite.Mode == AEAD:
		return n + 4 + tagSize
	}
	n += digestSize(c.digest)
	switch c.suite.Mode {
	case CBC:
		n += 2*c.suite.BlockSize + idSize(c.static)
	case CFB, OFB:
		n += c.suite.BlockSize
	default:
		n += idSize(c.static)
	}
	return n
}

// clamp applies mssfix to a payload in either direction.
func (c *Channel) clamp(payload []byte) {
	if c.p.MSSLimit > 0 {
		clampMSS(payload, c.p.MSSLimit, c.p.TAP)
	}
}
