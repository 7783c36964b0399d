package wire

import "encoding/binary"

// FrameHeaderSize is the length prefix of one packet on a stream transport, in bytes.
const FrameHeaderSize = 2

// MaxFrame is the largest packet the prefix can announce.
const MaxFrame = 0xFFFF

// AppendFrame appends u16 length | pkt to dst. It panics if pkt is empty or longer than MaxFrame: a receiver closes
// the stream on such a length, so sending one is a mistake of ours.
func AppendFrame(dst, pkt []byte) []byte {
	if len(pkt) == 0 || len(pkt) > MaxFrame {
		panic("wire: frame length out of range")
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(pkt)))
	return append(dst, pkt...)
}

// NextFrame cuts the first packet off b, bytes read from a stream. ok is false while the packet is not complete; pkt
// and rest alias b. A length of 0 or above maxLen is ErrFrameSize, after which the stream is lost and must be closed.
func NextFrame(b []byte, maxLen int) (pkt, rest []byte, ok bool, err error) {
	if len(b) < FrameHeaderSize {
		return nil, b, false, nil
	}
	n := int(binary.BigEndian.Uint16(b))
	if n == 0 || n > maxLen {
		return nil, b, false, ErrFrameSize
	}
	if len(b) < FrameHeaderSize+n {
		return nil, b, false, nil
	}
	end := FrameHeaderSize + n
	return b[FrameHeaderSize:end:end], b[end:], true, nil
}

// FrameBuffer collects stream bytes and hands out packets. The owner reads into Free, reports the count to Added and
// takes packets from Next until it says no; packets alias the buffer and live until the following call of Free.
// Nothing is allocated after NewFrameBuffer. Not safe for concurrent use.
//
//	n, err := conn.Read(fb.Free())
//	fb.Added(n)
//	for { pkt, ok, err := fb.Next(); … }
type FrameBuffer struct {
	buf        []byte
	start, end int // unread bytes are buf[start:end]
	maxLen     int
}

// NewFrameBuffer makes a buffer for packets of up to maxLen bytes. size is the room for one read; it is raised so
// that at least one largest frame fits.
func NewFrameBuffer(maxLen, size int) *FrameBuffer {
	maxLen = min(maxLen, MaxFrame)
	return &FrameBuffer{buf: make([]byte, max(size, maxLen+FrameHeaderSize)), maxLen: maxLen}
}

// Free is the room to read into; it is never empty while Next is drained before each call. Packets handed out before
// become invalid.
func (f *FrameBuffer) Free() []byte {
	if f.start > 0 {
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	}
	return f.buf[f.end:]
}

// Added tells that the first n bytes of Free were filled.
func (f *FrameBuffer) Added(n int) {
	if n < 0 || n > len(f.buf)-f.end {
		panic("wire: more bytes added than there was room for")
	}
	f.end += n
}

// Next returns the next complete packet. After ErrFrameSize the stream is lost.
func (f *FrameBuffer) Next() (pkt []byte, ok bool, err error) {
	pkt, rest, ok, err := NextFrame(f.buf[f.start:f.end], f.maxLen)
	if ok {
		f.start = f.end - len(rest)
	}
	return pkt, ok, err
}
