package data

import (
	"encoding/binary"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/replay"
)

// finish seals under the epoch of id. The nonce lies in the spare bytes behind the packet.
func (k *epochSeal) finish(pkt, src []byte, id uint64) int {
	key := k.ring[id>>48&1].Load()
	for key.epoch != uint16(id>>48) {
		// The peer pushed us two epochs ahead between plan and seal, and the key is gone: take a fresh id.
		var err error
		if id, err = k.reserve(1, len(src), time.Time{}); err != nil {
			return 0
		}
		key = k.ring[id>>48&1].Load()
	}
	front := k.front()
	end := front + len(src) + tagSize
	pkt = pkt[:end+nonceSize]
	copy(pkt, k.h.b[:])
	binary.BigEndian.PutUint64(pkt[4:], id)
	nonce := pkt[end:]
	key.nonce(nonce, id)
	key.aead.Seal(pkt[:front], nonce, src, pkt[:front])
	return end
}

// epochOpen is the receiving half. It knows the current epoch, its predecessor, and can reach futureEpochs ahead.
type epochOpen struct {
	c    *Channel
	h    header
	use  *usage
	send *epochSeal

	cur, prev epochRecv
	// secrets are E(current), E(current+1), …, of which the first known ones were expanded.
	secrets [futureEpochs + 1]epochSecret
	known   int
	ahead   [futureEpochs + 1]*epochKey // the keys of those, as packets asked for them: forged ones cost an expansion each only once
	scratch [nonceSize]byte             // the nonce of a packet; a local array would escape to the heap
}

// epochRecv is a receive key with its replay window; key is nil when there is none.
type epochRecv struct {
	key *epochKey
	win *replay.Window
}

// open decrypts in place: the tag is behind the ciphertext, where the AEAD wants it.
func (k *epochOpen) open(pkt []byte, now time.Time) ([]byte, error) {
	const front = 4 + 8
	if len(pkt) <= front+tagSize {
		return nil, ErrShort
	}
	if pkt[0]>>3 != opDataV2 {
		return nil, ErrHeader
	}
	if k.use.failed.Load() >= failLimit {
		return nil, ErrExhausted
	}
	id := binary.BigEndian.Uint64(pkt[4:])
	key, win, err := k.keyOf(uint16(id >> 48))
	if err != nil {
		return nil, err
	}
	key.nonce(k.scratch[:], id)
	plain, aeadErr := key.aead.Open(pkt[front:front], k.scratch[:], pkt[front:], pkt[:front])
	if aeadErr != nil {
		return nil, ErrAuth
	}
	k.use.openBlocks.Add(aeadBlocks(len(plain)))
	if key.epoch > k.cur.key.epoch {
		if win, err = k.move(key); err != nil {
			return nil, err
		}
	}
	if win != nil && !win.Accept(id&lastCounter, now) {
		return nil, ErrReplay
	}
	return plain, nil
}

// keyOf finds or expands the key of an epoch. What it expands before authentication is kept until the epoch moves.
func (k *epochOpen) keyOf(epoch uint16) (*epochKey, *replay.Window, error) {
	cur := k.cur.key.epoch
	switch {
	case epoch == cur:
		return k.cur.key, k.cur.win, nil
	case k.prev.key != nil && epoch == k.prev.key.epoch:
		return k.prev.key, k.prev.win, nil
	case epoch < cur || int(epoch)-int(cur) > futureEpochs:
		return nil, nil, ErrAuth
	}
	step := int(epoch - cur)
	if key := k.ahead[step]; key != nil {
		return key, nil, nil
	}
	for k.known <= step {
		next, err := k.secrets[k.known-1].next()
		if err != nil {
			return nil, nil, err
		}
		k.secrets[k.known] = next
		k.known++
	}
	key, err := k.c.suite.epochKey(epoch, &k.secrets[step])
	if err != nil {
		return nil, nil, err
	}
	k.ahead[step] = key
	return key, nil, nil
}

// move makes the epoch of an authenticated packet the current one and raises the send epoch to it.
func (k *epochOpen) move(key *epochKey) (*replay.Window, error) {
	step := int(key.epoch - k.cur.key.epoch)
	k.prev = k.cur
	k.cur = epochRecv{key, k.c.window()}
	copy(k.ahead[:], k.ahead[step:])
	clear(k.ahead[len(k.ahead)-step:])
	copy(k.secrets[:], k.secrets[step:k.known])
	clear(k.secrets[k.known-step:])
	k.known -= step
	return k.cur.win, k.send.advance(key.epoch)
}

// window makes the replay window of a receive key, nil without replay protection.
func (c *Channel) window() *replay.Window {
	if c.p.NoReplay {
		return nil
	}
	return replay.New(c.p.ReplayWindow, c.p.ReplayTime)
}
