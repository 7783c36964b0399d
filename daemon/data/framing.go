package data

import (
	lzo "github.com/anchore/go-lzo"
	"github.com/pierrec/lz4/v4"
)

// Framing is the compression framing of payloads. We never compress; the framing stays.
type Framing uint8

// Framings, by the option that asks for them.
const (
	FramingNone   Framing = iota
	FramingLZO            // comp-lzo, compress lzo: 0xFA payload, 0x66 LZO data
	FramingStub           // compress stub, compress lz4: 0xFB payload[1:] payload[0], 0x69 LZ4 data swapped likewise
	FramingStubV2         // compress stub-v2: payload, escaped with 0x50 0x00 when it begins with 0x50
	FramingLZ4V2          // compress lz4-v2: as stub-v2, and 0x50 0x01 LZ4 data
)

// FramingLZ4 shares its bytes with FramingStub; only Params.Decompress decides whether LZ4 data is accepted.
const FramingLZ4 = FramingStub

// Framing bytes.
const (
	byteLZO       = 0x66
	byteLZ4       = 0x69
	byteNone      = 0xFA
	byteNoneSwap  = 0xFB
	byteV2        = 0x50
	v2None        = 0x00
	v2LZ4         = 0x01
	v2NoneVariant = 0x0A // what stock writes when it escapes
)

// overhead is the most bytes the framing adds.
func (f Framing) overhead() int {
	switch f {
	case FramingLZO, FramingStub:
		return 1
	case FramingStubV2, FramingLZ4V2:
		return 2
	default:
		return 0
	}
}

// extra counts the bytes that the framing adds to this payload.
func (f Framing) extra(payload []byte) int {
	switch f {
	case FramingLZO, FramingStub:
		return 1
	case FramingStubV2, FramingLZ4V2:
		if len(payload) > 0 && payload[0] == byteV2 {
			return 2
		}
	}
	return 0
}

// append appends the framed payload, which is not empty.
func (f Framing) append(dst, payload []byte) []byte {
	switch f {
	case FramingLZO:
		dst = append(dst, byteNone)
	case FramingStub:
		dst = append(dst, byteNoneSwap)
		dst = append(dst, payload[1:]...)
		return append(dst, payload[0])
	case FramingStubV2, FramingLZ4V2:
		if payload[0] == byteV2 {
			dst = append(dst, byteV2, v2None)
		}
	}
	return append(dst, payload...)
}

// strip removes the framing of b, in place where it can; decompressed data is a fresh slice of at most maxPayload
// bytes. Errors: ErrFraming, ErrCompressed, ErrShort for an empty b where a byte is due.
func (f Framing) strip(b []byte, decompress bool) ([]byte, error) {
	if f == FramingNone {
		return b, nil
	}
	if len(b) == 0 {
		return nil, ErrShort
	}
	switch f {
	case FramingLZO:
		switch b[0] {
		case byteNone:
			return b[1:], nil
		case byteLZO:
			return inflate(b[1:], decompress, lzo.Decompress)
		}
	case FramingStub:
		kind := b[0]
		b[0] = b[len(b)-1]
		switch {
		case kind == byteNoneSwap && len(b) == 1:
			return nil, ErrShort
		case kind == byteNoneSwap:
			return b[:len(b)-1], nil
		case kind == byteLZ4:
			return inflate(b[:len(b)-1], decompress, lz4.UncompressBlock)
		}
	default:
		if b[0] != byteV2 {
			return b, nil
		}
		if len(b) < 2 {
			return nil, ErrShort
		}
		switch b[1] {
		case v2None, v2NoneVariant:
			return b[2:], nil
		case v2LZ4:
			if f == FramingLZ4V2 {
				return inflate(b[2:], decompress, lz4.UncompressBlock)
			}
			return nil, ErrCompressed
		}
	}
	return nil, ErrFraming
}

// inflate decompresses src into a fresh slice when that is allowed.
func inflate(src []byte, allowed bool, decompress func(src, dst []byte) (int, error)) ([]byte, error) {
	if !allowed || len(src) == 0 {
		return nil, ErrCompressed
	}
	for size := 4096; ; size = maxPayload {
		dst := make([]byte, size)
		n, err := decompress(src, dst)
		switch {
		case err == nil && n >= 0 && n <= len(dst):
			return dst[:n], nil
		case size == maxPayload:
			return nil, ErrFraming
		}
	}
}
