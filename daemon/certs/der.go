package certs

import (
	"errors"
	"math/big"
)

// errDER means bytes that are no element, or not the one that has to be there.
var errDER = errors.New("malformed DER")

// Tags of the elements that are read here.
const (
	tagBoolean         = 0x01
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagOID             = 0x06
	tagUTF8            = 0x0c
	tagNumericString   = 0x12
	tagPrintableString = 0x13
	tagT61String       = 0x14
	tagIA5String       = 0x16
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagVisibleString   = 0x1a
	tagUniversalString = 0x1c
	tagBMPString       = 0x1e
	tagSequence        = 0x30
	tagSet             = 0x31
)

// element is one tag with its content. raw is both, with the length between them.
type element struct {
	tag     byte
	content reader
	raw     []byte
}

// reader takes elements from the front of what is left: DER, except that lengths need not be minimal. An indefinite length and
// tags of more than one byte are refused; see [DER].
type reader []byte

func (r reader) empty() bool { return len(r) == 0 }

// peek returns the tag of the next element, 0 at the end.
func (r reader) peek() byte {
	if len(r) == 0 {
		return 0
	}
	return r[0]
}

// next takes an element, of any kind.
func (r *reader) next() (element, error) {
	b := *r
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return element{}, errDER
	}
	head, n := 2, uint64(b[1])
	if n >= 0x80 {
		size := int(n & 0x7f)
		if size == 0 || size > 8 || len(b) < 2+size {
			return element{}, errDER
		}
		n = 0
		for _, x := range b[2 : 2+size] {
			n = n<<8 | uint64(x)
		}
		head += size
	}
	if n > uint64(len(b)-head) {
		return element{}, errDER
	}
	end := head + int(n) //nolint:gosec // not above len(b)
	*r = b[end:]
	return element{b[0], reader(b[head:end]), b[:end]}, nil
}

// want takes an element of a kind.
func (r *reader) want(tag byte) (element, error) {
	if r.peek() != tag {
		return element{}, errDER
	}
	return r.next()
}

// skip takes an element of a kind if it comes next.
func (r *reader) skip(tag byte) (element, bool, error) {
	if r.peek() != tag {
		return element{}, false, nil
	}
	e, err := r.next()
	return e, err == nil, err
}

// integer reads the content of an INTEGER, minimal or not.
func integer(content []byte) *big.Int {
	n := new(big.Int).SetBytes(content)
	if len(content) > 0 && content[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(content))*8)) //nolint:gosec // a length
	}
	return n
}

// bits reads the content of a BIT STRING: the octets without the count of unused bits before them, those bits cleared.
func bits(content []byte) ([]byte, error) {
	if len(content) == 0 || content[0] > 7 || content[0] > 0 && len(content) == 1 {
		return nil, errDER
	}
	if content[0] == 0 {
		return content[1:], nil
	}
	b := append([]byte(nil), content[1:]...)
	b[len(b)-1] &= 0xff << content[0]
	return b, nil
}
