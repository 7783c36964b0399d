package data

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// Opcodes of data packets, in the upper five bits of the first byte.
const (
	opDataV1 = 6
	opDataV2 = 9
)

// renegotiateAt is the packet id at which a new key must be negotiated; ids never wrap.
const renegotiateAt = 0xFF000000

// maxSlots is how many keys live at once: the primary and one lame duck.
const maxSlots = 2

// material is one direction's half of a key block: 64 bytes each, of which algorithms take the leading ones.
type material struct{ cipher, hmac []byte }

// keyring is an immutable snapshot: the primary key first, then the lame duck.
type keyring struct{ slots []*slot }

// slot is one key generation with both directions.
type slot struct {
	keyID    uint8
	sendFrom time.Time
	send     sealer
	recv     opener
	use      usage
}

// usage counts what one key has done.
type usage struct {
	ids         atomic.Uint64 // packet ids handed out; also packets sealed
	sealedBytes atomic.Uint64 // payload bytes
	sealBlocks  atomic.Uint64 // AEAD blocks and invocations
	opened      atomic.Uint64
	openedBytes atomic.Uint64
	openBlocks  atomic.Uint64
	failed      atomic.Uint64 // failed verifications
}

// sealer turns plaintext into packets under one key. It is safe for concurrent use.
type sealer interface {
	// front is how many bytes of the packet come before its plaintext, tail how many may follow, scratch included.
	front() int
	tail() int
	// finish completes the packet that begins at pkt[0]. src holds the plaintext and is either elsewhere or exactly
	// pkt[front:front+len(src)]. cap(pkt) covers front, src and tail. It returns the packet's length.
	finish(pkt, src []byte, id uint64) int
	// reserve hands out n consecutive ids for packets of together size payload bytes and returns the first.
	reserve(n, size int, now time.Time) (first uint64, err error)
}

// opener authenticates and decrypts packets under one key, in place. One caller at a time.
type opener interface {
	open(pkt []byte, now time.Time) (plain []byte, err error)
}

// SetKey installs the keys of a negotiation as the primary; the former primary becomes the lame duck and an older one
// is dropped. A slot with the same key-id is replaced. Packets are accepted under the key at once, and sent with it
// from sendFrom on, or earlier when the peer uses it or no other key qualifies. b is not kept.
//
// Rule: docs/protocol.md#310-which-key-to-send-with: the first of primary, lame duck whose time has come, else the
// primary. A packet of the peer under a key counts like the time: it proves that the peer has
// the key. A peer that renews keys faster than we expect drops the older one while we would still wait.
func (c *Channel) SetKey(keyID uint8, b *keys.Block, sendFrom time.Time) error {
	own, peer := c.p.Role, c.p.Role.Peer()
	s, err := c.newSlot(keyID, material{b.Cipher(own), b.HMAC(own)}, material{b.Cipher(peer), b.HMAC(peer)})
	if err != nil {
		return err
	}
	s.sendFrom = sendFrom
	c.mu.Lock()
	defer c.mu.Unlock()
	next := []*slot{s}
	for _, old := range c.keys.Load().slots {
		if old.keyID != keyID && len(next) < maxSlots {
			next = append(next, old)
		}
	}
	c.keys.Store(&keyring{next})
	return nil
}

// DropKey forgets a key; an unknown key-id is no error.
func (c *Channel) DropKey(keyID uint8) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.keys.Load().slots
	next := slices.DeleteFunc(slices.Clone(old), func(s *slot) bool { return s.keyID == keyID })
	if len(next) != len(old) {
		c.keys.Store(&keyring{next})
	}
}

// sendSlot picks the key to send with, or nil.
func (c *Channel) sendSlot(now time.Time) *slot {
	slots := c.keys.Load().slots
	switch len(slots) {
	case 0:
		return nil
	case 1:
		return slots[0]
	}
	for _, s := range slots {
		if !now.Before(s.sendFrom) || s.use.opened.Load() > 0 {
			return s
		}
	}
	return slots[0]
}

// recvSlot finds the slot of an inbound packet by its first byte.
func (c *Channel) recvSlot(pkt []byte) (*slot, error) {
	slots := c.keys.Load().slots
	if c.static {
		if len(slots) == 0 {
			return nil, ErrNoKey
		}
		return slots[0], nil
	}
	if len(pkt) == 0 {
		return nil, ErrShort
	}
	if op := pkt[0] >> 3; op != opDataV1 && op != opDataV2 {
		return nil, ErrHeader
	}
	for _, s := range slots {
		if s.keyID == pkt[0]&7 {
			return s, nil
		}
	}
	return nil, ErrNoKey
}

// header starts every packet of a key, before the packet id.
type header struct {
	b [4]byte
	n int // bytes used: 4 for V2, 1 for V1, 0 in static-key mode
}

func (c *Channel) header(keyID uint8) header {
	var h header
	switch {
	case c.static:
	case c.p.V2:
		binary.BigEndian.PutUint32(h.b[:], uint32(opDataV2<<3|keyID)<<24|c.p.PeerID&NoPeerID)
		h.n = 4
	default:
		h.b[0] = opDataV1<<3 | keyID
		h.n = 1
	}
	return h
}

// headerLen is the length of the header in front of an inbound packet, by its opcode: either form is accepted.
func (h *header) headerLen(pkt []byte) int {
	switch {
	case h.n == 0:
		return 0
	case pkt[0]>>3 == opDataV2:
		return 4
	default:
		return 1
	}
}

// newSlot builds both directions of a key.
func (c *Channel) newSlot(keyID uint8, own, peer material) (*slot, error) {
	s := &slot{keyID: keyID & 7}
	h := c.header(s.keyID)
	var err error
	switch {
	case c.p.Epoch:
		err = c.epochSlot(s, h, own, peer)
	case c.suite.Mode == AEAD:
		err = c.aeadSlot(s, h, own, peer)
	default:
		err = c.legacySlot(s, h, own, peer)
	}
	return s, err
}

// KeyUsage counts the work of one key.
type KeyUsage struct {
	KeyID       uint8
	Sealed      uint64 // packets, hence the last packet id
	SealedBytes uint64 // plaintext
	Opened      uint64
	OpenedBytes uint64
	Failed      uint64 // packets that did not authenticate
	// Renegotiate says that a limit of the cipher or of the packet ids asks for a new key now.
	Renegotiate bool
}

// Packets is the sum of both directions, for reneg-pkts.
func (u KeyUsage) Packets() uint64 { return u.Sealed + u.Opened }

// Bytes is the sum of both directions, for reneg-bytes.
func (u KeyUsage) Bytes() uint64 { return u.SealedBytes + u.OpenedBytes }

// Usage returns the counts of a key, false when the key-id is not live.
func (c *Channel) Usage(keyID uint8) (KeyUsage, bool) {
	for _, s := range c.keys.Load().slots {
		if s.keyID == keyID {
			return c.usageOf(s), true
		}
	}
	return KeyUsage{}, false
}

// PrimaryUsage is Usage of the newest key.
func (c *Channel) PrimaryUsage() (KeyUsage, bool) {
	slots := c.keys.Load().slots
	if len(slots) == 0 {
		return KeyUsage{}, false
	}
	return c.usageOf(slots[0]), true
}
