package data

import (
	"encoding/binary"
	"time"
)

// aeadLoad is the overhead that stock counts of an AEAD packet when it is asked for one of a size, in bytes: header, a
// packet id of an epoch, and tag, whatever of it the packet has.
const aeadLoad = 4 + 8 + tagSize

// loadOverhead is how much longer than its payload a packet is taken to be when a peer asks for one of a size.
func (c *Channel) loadOverhead() int {
	n := c.codecOverhead()
	switch c.suite.Mode {
	case AEAD:
		n = aeadLoad
	case CBC:
		n -= c.suite.BlockSize // padding
	}
	return n + c.Overhead() - c.codecOverhead()
}

// SealAnswer returns the packets that answer an in-band message (type | body, as Open returns it), none when no answer is due or no
// key is there. options is our OCC string.
func (c *Channel) SealAnswer(msg []byte, options string, now time.Time) [][]byte {
	answer := answerOCC(nil, msg, options, int(c.Counters.MaxOpened.Load()), int(c.Counters.MaxSealed.Load()), c.loadOverhead())
	return c.sealInBand(answer, now)
}

// SealLoadRequest asks for a packet as long as one with a payload of mtu bytes; SealLoad is such a packet.
func (c *Channel) SealLoadRequest(mtu int, now time.Time) [][]byte {
	size := binary.BigEndian.AppendUint16(nil, uint16(mtu+c.loadOverhead()))
	return c.sealInBand(AppendOCC(nil, OCCMTULoadRequest, size), now)
}

// SealLoad returns the packets of an in-band payload of mtu bytes that carries nothing.
func (c *Channel) SealLoad(mtu int, now time.Time) [][]byte {
	return c.sealInBand(AppendOCC(nil, OCCMTULoad, make([]byte, max(mtu-len(occMagic)-1, 0))), now)
}

// SealMTURequest asks for the largest packets that the peer has seen.
func (c *Channel) SealMTURequest(now time.Time) [][]byte {
	return c.sealInBand(AppendOCC(nil, OCCMTURequest, nil), now)
}

// MTUReply reads the answer to SealMTURequest, type | body: the largest packets that the peer has received and sent, in bytes.
func MTUReply(msg []byte) (received, sent int, ok bool) {
	if len(msg) < 5 || OCCType(msg[0]) != OCCMTUReply {
		return 0, 0, false
	}
	return int(binary.BigEndian.Uint16(msg[1:])), int(binary.BigEndian.Uint16(msg[3:])), true
}

// sealInBand seals an in-band payload, which fragments as others do.
func (c *Channel) sealInBand(payload []byte, now time.Time) [][]byte {
	var b Batch
	if len(payload) == 0 || c.SealBatch(&b, [][]byte{payload}, now) != nil {
		return nil
	}
	return b.Packets
}
