package data

import (
	"crypto/cipher"
	"encoding/binary"
	"math"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/replay"
)

// Sizes of the AEAD formats, in bytes.
const (
	tagSize   = 16
	nonceSize = 12
)

// gcmLimit is the most blocks and invocations under one AES-GCM key.
const gcmLimit = 1<<36 - 1

// failLimit is how many failed verifications a receive key survives; a new key is asked for at half of it.
const failLimit = 1 << 36

// aeadBlocks counts what a packet adds to the usage of an AES-GCM key: blocks of additional data and plaintext, and the
// invocation.
func aeadBlocks(plain int) uint64 { return uint64(plain+15)/16 + 2 }

// aeadSeal is the sending half of | header | packet id u32 | tag 16 | ciphertext |.
type aeadSeal struct {
	aead     cipher.AEAD
	h        header
	implicit [8]byte
	use      *usage
}

func (c *Channel) aeadSlot(s *slot, h header, own, peer material) error {
	send, err := c.suite.aead(own.cipher)
	if err != nil {
		return err
	}
	recv, err := c.suite.aead(peer.cipher)
	if err != nil {
		return err
	}
	s.send = &aeadSeal{aead: send, h: h, implicit: [8]byte(own.hmac), use: &s.use}
	s.recv = &aeadOpen{aead: recv, h: h, implicit: [8]byte(peer.hmac), use: &s.use, win: c.window()}
	return nil
}

func (k *aeadSeal) front() int { return k.h.n + 4 + tagSize }
func (k *aeadSeal) tail() int  { return tagSize + nonceSize }

func (k *aeadSeal) reserve(n, size int, _ time.Time) (uint64, error) {
	return reserve32(k.use, n, size)
}

// reserve32 hands out n 32-bit ids, never past the last one.
func reserve32(u *usage, n, size int) (uint64, error) {
	last := u.ids.Add(uint64(n))
	if last > math.MaxUint32 {
		u.ids.Store(math.MaxUint32) // stay exhausted, never wrap
		return 0, ErrExhausted
	}
	u.sealedBytes.Add(uint64(size))
	u.sealBlocks.Add(uint64(n)*2 + uint64(size+15*n)/16)
	return last - uint64(n) + 1, nil
}

// finish uses the spare bytes behind the ciphertext twice: the AEAD leaves its tag there, which moves to the front, and
// the nonce lies behind the tag, because a local array would escape to the heap.
func (k *aeadSeal) finish(pkt, src []byte, id uint64) int {
	front := k.front()
	end := front + len(src) + tagSize
	pkt = pkt[:end+nonceSize]
	copy(pkt, k.h.b[:k.h.n])
	binary.BigEndian.PutUint32(pkt[k.h.n:], uint32(id))
	nonce := pkt[end:]
	binary.BigEndian.PutUint32(nonce, uint32(id))
	copy(nonce[4:], k.implicit[:])
	k.aead.Seal(pkt[:front], nonce, src, additional(pkt, k.h.n))
	copy(pkt[front-tagSize:front], pkt[front+len(src):end])
	return front + len(src)
}

// additional is the authenticated data of a packet with a header of n bytes: V2's header and packet id, V1's packet id
// alone.
func additional(pkt []byte, n int) []byte {
	if n == 4 {
		return pkt[:8]
	}
	return pkt[n : n+4]
}

// aeadOpen is the receiving half.
type aeadOpen struct {
	aead     cipher.AEAD
	h        header
	implicit [8]byte
	use      *usage
	win      *replay.Window // nil without replay protection
}

// open decrypts through a scratch copy: the AEAD wants its tag behind the ciphertext, and there is no room in the
// packet for it. The plaintext ends up where the ciphertext was, which leaves head room for a device write.
func (k *aeadOpen) open(pkt []byte, now time.Time) ([]byte, error) {
	n := k.h.headerLen(pkt)
	front := n + 4 + tagSize
	if len(pkt) <= front {
		return nil, ErrShort
	}
	if k.use.failed.Load() >= failLimit {
		return nil, ErrExhausted
	}
	sc := scratches.Get().(*scratch)
	copy(sc.nonce[:], pkt[n:n+4])
	copy(sc.nonce[4:], k.implicit[:])
	sc.buf = append(append(sc.buf[:0], pkt[front:]...), pkt[n+4:front]...)
	plain, err := k.aead.Open(pkt[front:front:len(pkt)], sc.nonce[:], sc.buf, additional(pkt, n))
	scratches.Put(sc)
	if err != nil {
		return nil, ErrAuth
	}
	k.use.openBlocks.Add(aeadBlocks(len(plain)))
	if k.win != nil && !k.win.Accept(uint64(binary.BigEndian.Uint32(pkt[n:])), now) {
		return nil, ErrReplay
	}
	return plain, nil
}

// usageOf reads the counts of a key and compares them with its limits.
//
// Rule: docs/protocol.md#311-aead-usage-limits: renegotiate at 7/8 of the limit in either direction, after 2^35 failed
// verifications, and at packet id 0xFF000000.
func (c *Channel) usageOf(s *slot) KeyUsage {
	u := KeyUsage{
		KeyID: s.keyID, Sealed: s.use.ids.Load(), SealedBytes: s.use.sealedBytes.Load(),
		Opened: s.use.opened.Load(), OpenedBytes: s.use.openedBytes.Load(), Failed: s.use.failed.Load(),
	}
	switch {
	case c.static: // nothing to negotiate
	case c.p.Epoch:
		u.Renegotiate = s.send.(*epochSeal).now() >= lastEpoch || u.Failed >= failLimit/2
	default:
		u.Renegotiate = u.Sealed >= renegotiateAt || u.Failed >= failLimit/2
		if c.suite.Mode == AEAD && !c.suite.chacha {
			blocks := max(s.use.sealBlocks.Load(), s.use.openBlocks.Load())
			u.Renegotiate = u.Renegotiate || blocks >= gcmLimit/8*7
		}
	}
	return u
}
