package ctrlwrap

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

const (
	cryptADSize   = wire.ControlHeaderSize + replayIDSize // 17
	cryptTagSize  = sha256.Size
	cryptOverhead = replayIDSize + cryptTagSize
	cryptKeySize  = 32
)

// NewTLSCrypt is the wrapper of tls-crypt for one role.
func NewTLSCrypt(key *keys.StaticKey, role keys.Role) Wrapper { return newTLSCrypt(key, role) }

// NewTLSCryptV2Client is the wrapper of a tls-crypt-v2 client: it appends wkc behind opcodes 10 and 11, and starts
// its count where a server sees that the client can negotiate early.
func NewTLSCryptV2Client(kc *keys.StaticKey, wkc []byte) Wrapper {
	c := newTLSCrypt(kc, keys.Client)
	c.wkc = bytes.Clone(wkc)
	c.counter.id = keys.EarlyStart
	return c
}

// NewTLSCryptV2Server is the wrapper of a server's session with a client whose key came in a WKc. Wrapped keys behind
// later packets are cut off and ignored.
func NewTLSCryptV2Server(kc *keys.StaticKey) Wrapper { return newTLSCryptV2Server(kc) }

func newTLSCryptV2Server(kc *keys.StaticKey) *tlsCrypt {
	c := newTLSCrypt(kc, keys.Server)
	c.stripWKc = true
	return c
}

// NewDynamic is the wrapper for key ids above 0 of a session that negotiated dynamic tls-crypt. exported comes from
// the exporter of the first TLS session (keys.LabelDynamicTLSCrypt); base is the key of the initial wrapping, Kc for
// tls-crypt-v2, nil if there was none.
func NewDynamic(exported *keys.StaticKey, base *keys.StaticKey, role keys.Role) Wrapper {
	if base != nil {
		exported = exported.XOR(base)
	}
	return newTLSCrypt(exported, role)
}

func newTLSCrypt(key *keys.StaticKey, role keys.Role) *tlsCrypt {
	return &tlsCrypt{
		send:    newCryptHalf(key, keys.WrapHalf(role)),
		receive: newCryptHalf(key, keys.WrapHalf(role.Peer())),
		receipt: receipt{window: newWindow()},
		plain:   make([]byte, 0, maxBody),
	}
}

// tlsCrypt is the synthetic-IV wrapping by AES-256-CTR and HMAC-SHA256.
//
//	AD     byte0 | session id | packet id | time, 17 bytes
//	tag    HMAC-SHA256(Ka, AD | body), its first 16 bytes being the counter block
//	wire   AD | tag 32 | AES-256-CTR(Ke, body) [| WKc]
type tlsCrypt struct {
	send, receive cryptHalf
	counter       counter
	receipt
	plain    []byte // the body decrypted last
	wkc      []byte // client of v2: appended to opcodes 10 and 11
	stripWKc bool   // server of v2: those opcodes end in one
}

func (c *tlsCrypt) Overhead() int { return cryptOverhead }

func (c *tlsCrypt) Wrap(dst []byte, op wire.Opcode, keyID uint8, sid wire.SessionID, body []byte, now time.Time) ([]byte, error) {
	if len(body) > maxBody {
		return dst, ErrSize
	}
	id, senderTime := c.counter.next(now)
	start := len(dst)
	dst = wire.AppendControlHeader(dst, op, keyID, sid)
	dst = appendReplayID(dst, id, senderTime)
	tag := c.send.tag(dst[start:], body)
	dst = append(dst, tag...)
	secret := len(dst)
	dst = append(dst, body...)
	c.send.ctr(dst[secret:], dst[secret:], tag)
	if op.HasWKc() {
		dst = append(dst, c.wkc...)
	}
	return dst, nil
}

func (c *tlsCrypt) Unwrap(pkt []byte, now time.Time) (wire.Opcode, uint8, wire.SessionID, []byte, error) {
	if c.stripWKc && len(pkt) > 0 && wire.Opcode(pkt[0]>>3).HasWKc() {
		rest, _, err := keys.SplitWKc(pkt)
		if err != nil {
			return 0, 0, wire.SessionID{}, nil, err
		}
		pkt = rest
	}
	op, keyID, sid, body, id, senderTime, err := c.open(pkt)
	if err == nil {
		err = c.check(id, senderTime, now)
	}
	if err != nil {
		return 0, 0, wire.SessionID{}, nil, err
	}
	return op, keyID, sid, body, nil
}

// open is Unwrap without the replay check, for a packet without WKc.
func (c *tlsCrypt) open(pkt []byte) (op wire.Opcode, keyID uint8, sid wire.SessionID, body []byte, id, senderTime uint32, err error) {
	op, keyID, sid, rest, err := wire.ParseControlHeader(pkt)
	if err != nil {
		return
	}
	switch {
	case len(rest) < cryptOverhead:
		err = ErrShort
		return
	case len(rest)-cryptOverhead > maxBody:
		err = ErrSize
		return
	}
	id, senderTime = parseReplayID(rest)
	tag, secret := rest[replayIDSize:cryptOverhead], rest[cryptOverhead:]
	c.plain = c.plain[:len(secret)]
	c.receive.ctr(c.plain, secret, tag)
	if !hmac.Equal(tag, c.receive.tag(pkt[:cryptADSize], c.plain)) {
		err = ErrAuth
		return
	}
	return op, keyID, sid, c.plain, id, senderTime, nil
}

// cryptHalf is one direction's key.
type cryptHalf struct {
	block  cipher.Block
	mac    hash.Hash
	sum    []byte
	count  []byte // counter block
	stream []byte // one block of key stream
}

func newCryptHalf(key *keys.StaticKey, half int) cryptHalf {
	block, err := aes.NewCipher(key.Cipher(half)[:cryptKeySize])
	if err != nil {
		panic(err) // 32 bytes is a size AES has
	}
	return cryptHalf{
		block:  block,
		mac:    hmac.New(sha256.New, key.HMAC(half)[:cryptKeySize]),
		sum:    make([]byte, 0, cryptTagSize),
		count:  make([]byte, aes.BlockSize),
		stream: make([]byte, aes.BlockSize),
	}
}

// tag is valid until the next call.
func (h *cryptHalf) tag(ad, body []byte) []byte {
	h.mac.Reset()
	h.mac.Write(ad)
	h.mac.Write(body)
	h.sum = h.mac.Sum(h.sum[:0])
	return h.sum
}

// ctr is AES in counter mode from the first block of tag on; dst and src have one length and are equal or apart.
// cipher.NewCTR does the same with an allocation for each packet, and control packets are too short for its lead in
// speed to matter.
func (h *cryptHalf) ctr(dst, src, tag []byte) {
	copy(h.count, tag[:aes.BlockSize])
	for len(src) > 0 {
		h.block.Encrypt(h.stream, h.count)
		n := subtle.XORBytes(dst, src, h.stream)
		dst, src = dst[n:], src[n:]
		h.increment()
	}
}

// increment adds one to the counter block, a 128-bit big-endian number.
func (h *cryptHalf) increment() {
	low := binary.BigEndian.Uint64(h.count[8:]) + 1
	binary.BigEndian.PutUint64(h.count[8:], low)
	if low == 0 {
		binary.BigEndian.PutUint64(h.count, binary.BigEndian.Uint64(h.count)+1)
	}
}
