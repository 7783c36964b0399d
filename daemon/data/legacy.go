package data

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"math"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/replay"
)

// idSize is the length of a packet id: the counter, and in the long form the time behind it.
func idSize(long bool) int {
	if long {
		return 8
	}
	return 4
}

// ivMode is a block mode object that can be used again under another IV.
type ivMode interface {
	cipher.BlockMode
	SetIV(iv []byte)
}

var errMode = errors.New("block mode cannot change its IV")

// legacyHalf is one direction of a key without AEAD: HMAC over what follows it, cipher, packet id.
type legacyHalf struct {
	suite *Suite
	h     header
	use   *usage
	long  bool // packet ids carry a time

	mac   hash.Hash // nil for auth none
	macN  int
	sum   []byte       // room for one HMAC
	block cipher.Block // nil for cipher none
	cbc   ivMode       // CBC only
	reg   []byte       // room for one block
}

func (c *Channel) legacyHalf(h header, m material, use *usage, encrypt bool) (*legacyHalf, error) {
	l := &legacyHalf{suite: c.suite, h: h, use: use, macN: digestSize(c.digest)}
	l.long = c.static || c.suite.Mode == CFB || c.suite.Mode == OFB
	if c.digest != nil {
		l.mac = hmac.New(c.digest.New, m.hmac[:c.digest.Size])
		l.sum = make([]byte, 0, c.digest.Size)
	}
	if c.suite.Mode == Plain {
		return l, nil
	}
	var err error
	if l.block, err = c.suite.cipher(m.cipher[:]); err != nil {
		return nil, err
	}
	l.reg = make([]byte, c.suite.BlockSize)
	if c.suite.Mode == CBC {
		mode := cipher.NewCBCDecrypter(l.block, l.reg)
		if encrypt {
			mode = cipher.NewCBCEncrypter(l.block, l.reg)
		}
		var ok bool
		if l.cbc, ok = mode.(ivMode); !ok {
			return nil, errMode
		}
	}
	return l, nil
}

func (c *Channel) legacySlot(s *slot, h header, own, peer material) error {
	send, err := c.legacyHalf(h, own, &s.use, true)
	if err != nil {
		return err
	}
	recv, err := c.legacyHalf(h, peer, &s.use, false)
	if err != nil {
		return err
	}
	s.send = &legacySeal{legacyHalf: send, static: c.static, rand: rand.Reader}
	s.recv = &legacyOpen{legacyHalf: recv, win: c.window()}
	return nil
}

// tag computes the HMAC of b into the half's own room.
func (l *legacyHalf) tag(b []byte) []byte {
	l.mac.Reset()
	_, _ = l.mac.Write(b) // a hash never fails
	l.sum = l.mac.Sum(l.sum[:0])
	return l.sum
}

// ivSize is the length of the IV field.
func (l *legacyHalf) ivSize() int {
	if l.block == nil {
		return 0
	}
	return l.suite.BlockSize
}

// legacySeal is the sending half. The lock guards every reused object of the half.
type legacySeal struct {
	mu sync.Mutex
	*legacyHalf
	static bool
	rand   io.Reader
	// time is the major part of long ids: the time of the first packet, or of the first after a wrap.
	time uint32
}

func (k *legacySeal) front() int {
	n := k.h.n + k.macN + k.ivSize()
	if k.suite.Mode == CBC || k.suite.Mode == Plain {
		n += idSize(k.long)
	}
	return n
}

func (k *legacySeal) tail() int { return k.suite.BlockSize }

// reserve puts the time of long ids into the upper half of the id. Only static-key mode starts over when ids run out,
// with a later time; a session has to renegotiate.
func (k *legacySeal) reserve(n, size int, now time.Time) (uint64, error) {
	if !k.long {
		return reserve32(k.use, n, size)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.time == 0 {
		k.time = uint32(now.Unix())
	}
	if k.static && k.use.ids.Load()+uint64(n) > math.MaxUint32 {
		k.time = max(uint32(now.Unix()), k.time+1)
		k.use.ids.Store(0)
	}
	first, err := reserve32(k.use, n, size)
	return uint64(k.time)<<32 | first, err
}

func putID(b []byte, id uint64, long bool) {
	binary.BigEndian.PutUint32(b, uint32(id))
	if long {
		binary.BigEndian.PutUint32(b[4:], uint32(id>>32))
	}
}

func (k *legacySeal) finish(pkt, src []byte, id uint64) int {
	front := k.front()
	macAt := k.h.n
	body := macAt + k.macN // what the HMAC covers begins here
	end := front + len(src)
	pkt = pkt[:end+k.tail()]
	bs := k.suite.BlockSize
	copy(pkt, k.h.b[:k.h.n])
	if &pkt[front] != &src[0] {
		copy(pkt[front:], src)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch k.suite.Mode {
	case CBC:
		iv := pkt[body : body+bs]
		if _, err := io.ReadFull(k.rand, iv); err != nil {
			panic(err) // crypto/rand never fails
		}
		plainAt := body + bs
		putID(pkt[plainAt:], id, k.long)
		pad := bs - (end-plainAt)%bs
		for i := range pad {
			pkt[end+i] = byte(pad)
		}
		end += pad
		k.cbc.SetIV(iv)
		k.cbc.CryptBlocks(pkt[plainAt:end], pkt[plainAt:end])
	case CFB, OFB:
		iv := pkt[body : body+bs]
		clear(iv)
		putID(iv, id, true)
		copy(k.reg, iv)
		k.stream(pkt[front:end], true)
	default:
		putID(pkt[body:], id, k.long)
	}
	if k.mac != nil {
		copy(pkt[macAt:body], k.tag(pkt[body:end]))
	}
	return end
}

// stream runs CFB128 or OFB over b in place, from the register on. The standard library's streams cannot be reused.
func (l *legacyHalf) stream(b []byte, encrypt bool) {
	for len(b) > 0 {
		l.block.Encrypt(l.reg, l.reg)
		n := min(len(b), len(l.reg))
		for i := range n {
			in := b[i]
			b[i] ^= l.reg[i]
			switch {
			case l.suite.Mode == OFB:
			case encrypt:
				l.reg[i] = b[i]
			default:
				l.reg[i] = in
			}
		}
		b = b[n:]
	}
}

// legacyOpen is the receiving half.
type legacyOpen struct {
	*legacyHalf
	win *replay.Window
}

// open verifies the HMAC before anything else; every later flaw is ErrAuth as well, so that padding tells nothing.
func (k *legacyOpen) open(pkt []byte, now time.Time) ([]byte, error) {
	macAt := k.h.headerLen(pkt)
	body := macAt + k.macN
	ivN := k.ivSize()
	if len(pkt) < body+ivN+1 {
		return nil, ErrShort
	}
	if k.mac != nil && !hmac.Equal(pkt[macAt:body], k.tag(pkt[body:])) {
		return nil, ErrAuth
	}
	plain := pkt[body+ivN:]
	idAt := plain // where the packet id is
	switch k.suite.Mode {
	case CBC:
		if len(plain)%ivN != 0 {
			return nil, ErrAuth
		}
		k.cbc.SetIV(pkt[body : body+ivN])
		k.cbc.CryptBlocks(plain, plain)
		n, ok := unpad(plain, ivN)
		if !ok {
			return nil, ErrAuth
		}
		plain = plain[:n]
		idAt = plain
	case CFB, OFB:
		copy(k.reg, pkt[body:])
		k.stream(plain, false)
		idAt = pkt[body : body+ivN]
	}
	size := idSize(k.long)
	if len(idAt) < size {
		return nil, ErrAuth
	}
	if k.suite.Mode == CBC || k.suite.Mode == Plain {
		plain = plain[size:]
	}
	if !k.accept(idAt, now) {
		return nil, ErrReplay
	}
	return plain, nil
}

func (k *legacyOpen) accept(id []byte, now time.Time) bool {
	switch n := binary.BigEndian.Uint32(id); {
	case k.win == nil:
		return true
	case k.long:
		return k.win.AcceptLong(n, binary.BigEndian.Uint32(id[4:]), now)
	default:
		return k.win.Accept(uint64(n), now)
	}
}

// ReplayState tells how far a channel of static-key mode has received, zero for other channels. It must not run beside Open.
func (c *Channel) ReplayState() replay.State {
	if w := c.staticWindow(); w != nil {
		return w.State()
	}
	return replay.State{}
}

// Resume makes a channel of static-key mode refuse as replays what a channel of that state has received. It comes before
// the first packet.
func (c *Channel) Resume(s replay.State) {
	if w := c.staticWindow(); w != nil {
		w.Resume(s)
	}
}

func (c *Channel) staticWindow() *replay.Window {
	if !c.static {
		return nil
	}
	k, ok := c.keys.Load().slots[0].recv.(*legacyOpen)
	if !ok {
		return nil
	}
	return k.win
}

// unpad returns the length without PKCS#7 padding to whole blocks.
func unpad(b []byte, block int) (int, bool) {
	pad := int(b[len(b)-1])
	if pad == 0 || pad > block {
		return 0, false
	}
	for _, v := range b[len(b)-pad:] {
		if int(v) != pad {
			return 0, false
		}
	}
	return len(b) - pad, true
}
