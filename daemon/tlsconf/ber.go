package tlsconf

import "errors"

// errBER means that a text is not BER, or nested too deep.
var errBER = errors.New("no element of BER")

// maxBER bounds elements in elements.
const maxBER = 64

// Tags of BER: the class is in bits 7 and 6, bit 5 says that elements are inside.
const (
	tagConstructed = 0x20
	tagOctetString = 0x04
	tagLong        = 0x1f // the number follows, in bytes of 7 bits
)

// derOf rewrites the first element of ber so far in DER as encoding/asn1 needs it: lengths are definite and as short as can be,
// octet strings in parts are joined. Windows, NSS and Java write PKCS#12 bundles of indefinite length. What octet strings hold
// stays as it is: a MAC may cover it.
//
// The rule is X.690, section 8.1.3.
func derOf(ber []byte) ([]byte, error) {
	der, _, err := appendDER(nil, ber, 0)
	return der, err
}

// appendDER appends the first element of ber to dst and returns what follows it.
func appendDER(dst, ber []byte, depth int) (der, rest []byte, err error) {
	tag, content, length, err := berHeader(ber)
	if err != nil || depth > maxBER {
		return nil, nil, errBER
	}
	if tag[0]&tagConstructed == 0 {
		if length < 0 || length > len(content) {
			return nil, nil, errBER
		}
		return appendElement(dst, tag, content[:length]), content[length:], nil
	}
	inside, rest, err := berInside(content, length, depth)
	if err != nil {
		return nil, nil, err
	}
	if tag[0] == tagOctetString|tagConstructed {
		if inside, err = joinOctets(inside); err != nil {
			return nil, nil, err
		}
		tag = []byte{tagOctetString}
	}
	return appendElement(dst, tag, inside), rest, nil
}

// berInside returns the elements inside of a constructed one in DER, and what follows it. length is -1 for an indefinite one.
func berInside(content []byte, length, depth int) (inside, rest []byte, err error) {
	if length >= 0 {
		if length > len(content) {
			return nil, nil, errBER
		}
		content, rest = content[:length], content[length:]
	}
	for {
		switch {
		case length >= 0 && len(content) == 0:
			return inside, rest, nil
		case length < 0 && len(content) >= 2 && content[0] == 0 && content[1] == 0:
			return inside, content[2:], nil
		}
		if inside, content, err = appendDER(inside, content, depth+1); err != nil {
			return nil, nil, err
		}
	}
}

// berHeader splits the tag and the length off an element; the length is -1 for an indefinite one.
func berHeader(ber []byte) (tag, content []byte, length int, err error) {
	n := 1
	if len(ber) > 0 && ber[0]&tagLong == tagLong {
		for n < len(ber) && ber[n]&0x80 != 0 {
			n++
		}
		n++
	}
	if n >= len(ber) || n > 5 {
		return nil, nil, 0, errBER
	}
	tag, first, content := ber[:n], ber[n], ber[n+1:]
	switch size := int(first & 0x7f); {
	case first < 0x80:
		return tag, content, int(first), nil
	case size == 0:
		return tag, content, -1, nil
	case size > 3 || size > len(content):
		return nil, nil, 0, errBER
	default:
		for _, b := range content[:size] {
			length = length<<8 | int(b)
		}
		return tag, content[size:], length, nil
	}
}

// appendElement appends an element with the shortest length.
func appendElement(dst, tag, content []byte) []byte {
	dst = append(dst, tag...)
	n := len(content)
	switch {
	case n < 0x80:
		dst = append(dst, byte(n))
	case n < 1<<8:
		dst = append(dst, 0x81, byte(n))
	case n < 1<<16:
		dst = append(dst, 0x82, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, content...)
}

// joinOctets joins octet strings in DER.
func joinOctets(list []byte) (joined []byte, err error) {
	for len(list) > 0 {
		tag, content, length, err := berHeader(list)
		if err != nil || len(tag) != 1 || tag[0] != tagOctetString || length < 0 || length > len(content) {
			return nil, errBER
		}
		joined, list = append(joined, content[:length]...), content[length:]
	}
	return joined, nil
}
