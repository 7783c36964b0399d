package data

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of epochs.
const (
	lastEpoch    = 0xF000    // renegotiate here
	futureEpochs = 16        // how far ahead the receiver looks
	lastCounter  = 1<<48 - 1 // ids of one epoch
)

// shortEpochs ends each epoch of ours after so many packets, for tests that want many of them: the linker sets it
// (-X …/daemon/data.shortEpochs=200). Empty is the limit of the format.
var shortEpochs string

// packetsPerEpoch is how many ids an epoch of ours has.
var packetsPerEpoch = func() uint64 {
	if n, err := strconv.ParseUint(shortEpochs, 10, 48); err == nil && n > 0 {
		return n
	}
	return lastCounter
}()

// epochSecret is E(n), from which an epoch's key, IV and successor are expanded.
type epochSecret [32]byte

// expandLabel is HKDF-Expand with the label structure of TLS 1.3 under another prefix:
// u16 length | u8 label length | "ovpn " label | u8 0.
func expandLabel(secret []byte, label string, length int) ([]byte, error) {
	const prefix = "ovpn "
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len(prefix)+len(label)))
	info = append(info, prefix+label+"\x00"...)
	out, err := hkdf.Expand(sha256.New, secret, string(info), length)
	if err != nil {
		return nil, fmt.Errorf("expand %s: %w", label, err)
	}
	return out, nil
}

// next is E(n+1).
func (e *epochSecret) next() (out epochSecret, err error) {
	b, err := expandLabel(e[:], "datakey upd", len(out))
	copy(out[:], b)
	return out, err
}

// epochKey is the AEAD of one epoch in one direction.
type epochKey struct {
	epoch uint16
	aead  cipher.AEAD
	iv    [nonceSize]byte
	// sending only: the id base and counts of this epoch
	ids    atomic.Uint64
	blocks atomic.Uint64
}

func (s *Suite) epochKey(epoch uint16, e *epochSecret) (*epochKey, error) {
	key, err := expandLabel(e[:], "data_key", s.KeySize)
	if err != nil {
		return nil, err
	}
	iv, err := expandLabel(e[:], "data_iv", nonceSize)
	if err != nil {
		return nil, err
	}
	aead, err := s.aead(key)
	if err != nil {
		return nil, err
	}
	return &epochKey{epoch: epoch, aead: aead, iv: [nonceSize]byte(iv)}, nil
}

// nonce writes iv XOR (epoch | counter | 0).
func (k *epochKey) nonce(dst []byte, id uint64) {
	copy(dst, k.iv[:])
	binary.BigEndian.PutUint64(dst, binary.BigEndian.Uint64(dst)^id)
}

// epochSeal is the sending half of | header 4 | epoch u16 | counter u48 | ciphertext | tag 16 |.
type epochSeal struct {
	suite *Suite
	h     header
	use   *usage

	mu     sync.Mutex // guards moving on: secret and stores to ring
	secret epochSecret
	// ring holds the current and the previous key by epoch modulo 2, for a batch that was planned before a move.
	ring [2]atomic.Pointer[epochKey]
	cur  atomic.Uint32
}

func (c *Channel) epochSlot(s *slot, h header, own, peer material) error {
	send := &epochSeal{suite: c.suite, h: h, use: &s.use, secret: epochSecret(own.cipher[:32])}
	k, err := c.suite.epochKey(1, &send.secret)
	if err != nil {
		return err
	}
	send.ring[1].Store(k)
	send.cur.Store(1)
	recv := &epochOpen{c: c, h: h, use: &s.use, send: send}
	recv.secrets[0] = epochSecret(peer.cipher[:32])
	if recv.cur.key, err = c.suite.epochKey(1, &recv.secrets[0]); err != nil {
		return err
	}
	recv.cur.win = c.window()
	recv.known = 1
	s.send, s.recv = send, recv
	return nil
}

func (k *epochSeal) front() int  { return 4 + 8 }
func (k *epochSeal) tail() int   { return tagSize + nonceSize }
func (k *epochSeal) now() uint16 { return uint16(k.cur.Load()) }

// reserve moves to the next epoch when this one is used up.
func (k *epochSeal) reserve(n, size int, _ time.Time) (uint64, error) {
	for {
		key := k.ring[k.cur.Load()&1].Load()
		last := key.ids.Add(uint64(n))
		blocks := uint64(0)
		if !k.suite.chacha {
			blocks = key.blocks.Add(uint64(n)*2 + uint64(size+15*n)/16)
		}
		if last <= packetsPerEpoch && blocks <= gcmLimit {
			k.use.ids.Add(uint64(n))
			k.use.sealedBytes.Add(uint64(size))
			return uint64(key.epoch)<<48 | (last - uint64(n) + 1), nil
		}
		if key.epoch == 0xFFFF {
			return 0, ErrExhausted
		}
		if err := k.advance(key.epoch + 1); err != nil {
			return 0, err
		}
	}
}

// advance moves the send epoch up to at least epoch.
func (k *epochSeal) advance(epoch uint16) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for cur := k.now(); cur < epoch; cur++ {
		if cur == 0xFFFF {
			return ErrExhausted
		}
		next, err := k.secret.next()
		if err != nil {
			return err
		}
		key, err := k.suite.epochKey(cur+1, &next)
		if err != nil {
			return err
		}
		k.secret = next
		k.ring[(cur+1)&1].Store(key)
		k.cur.Store(uint32(cur + 1))
	}
	return nil
}
