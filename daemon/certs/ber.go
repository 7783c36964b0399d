package certs

import (
	"encoding/asn1"
	"errors"
)

// errBER means that a text is not BER, or nested too deep.
var errBER = errors.New("no element of BER")

// maxBER bounds elements in elements.
const maxBER = 64

const (
	tagConstructed = 0x20
	tagNumber      = 0x1f // all bits set: the number follows, in bytes of 7 bits
)

// DER rewrites the first element of ber as far as encoding/asn1 and the readers here need it: lengths are definite and as short as can be,
// numbers of tags too, strings in parts are joined. Windows, NSS and Java write PKCS#12 bundles of indefinite length, some authorities certificates.
// What octet strings hold stays as it is: a MAC may cover it. ber itself is returned when nothing is to be done.
//
// The rule is X.690, sections 8.1.2, 8.1.3 and 8.21.
func DER(ber []byte) ([]byte, error) {
	if n := plain(ber, 0); n > 0 {
		return ber[:n], nil
	}
	der, _, err := appendDER(nil, ber, 0)
	return der, err
}

// inDER is [DER] where something else may stand, or follow.
func inDER(b reader) reader {
	if plain(b, 0) == 0 {
		if der, err := DER(b); err == nil {
			return der
		}
	}
	return b
}

// plain returns the length of the first element of b if DER would leave it alone, 0 otherwise.
func plain(b []byte, depth int) int {
	tag, content, length, err := berHeader(b)
	if err != nil || depth > maxBER || length < 0 || length > len(content) || isString(tag[0]^tagConstructed) {
		return 0
	}
	head := len(b) - len(content)
	if head != len(tag)+lengthSize(length) || len(tag) > 1 {
		return 0
	}
	if tag[0]&tagConstructed != 0 {
		for inside := content[:length]; len(inside) > 0; {
			n := plain(inside, depth+1)
			if n == 0 {
				return 0
			}
			inside = inside[n:]
		}
	}
	return head + length
}

// isString reports whether tag is that of a primitive string or time, which BER may write in parts. Those of bits stay in parts:
// only their readers could tell how many bits are unused.
func isString(tag byte) bool {
	switch tag {
	case tagOctetString, tagUTF8, tagNumericString, tagPrintableString, tagT61String, tagIA5String, tagUTCTime, tagGeneralizedTime, tagVisibleString,
		tagUniversalString, tagBMPString:
		return true
	}
	return false
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
	if whole := tag[0] &^ tagConstructed; isString(whole) {
		if inside, err = join(inside, tagOctetString); err != nil {
			return nil, nil, err
		}
		tag = []byte{whole}
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

// berHeader splits the tag and the length off an element; the length is -1 for an indefinite one. A number below 31 in bytes of
// its own comes back within the tag.
func berHeader(ber []byte) (tag, content []byte, length int, err error) {
	n := 1
	if len(ber) > 0 && ber[0]&tagNumber == tagNumber {
		for n < len(ber) && ber[n]&0x80 != 0 {
			n++
		}
		n++
	}
	if n >= len(ber) || n > 5 {
		return nil, nil, 0, errBER
	}
	tag, first, content := ber[:n], ber[n], ber[n+1:]
	if n == 2 && tag[1] < tagNumber {
		tag = []byte{tag[0]&^tagNumber | tag[1]}
	}
	switch size := int(first & 0x7f); {
	case first < 0x80:
		return tag, content, int(first), nil
	case size == 0:
		return tag, content, -1, nil
	case first == 0xff || size > len(content):
		return nil, nil, 0, errBER
	default:
		for _, b := range content[:size] {
			if length = length<<8 | int(b); length > len(content) || length >= 1<<24 {
				return nil, nil, 0, errBER
			}
		}
		return tag, content[size:], length, nil
	}
}

// lengthSize is the number of bytes that DER writes a length in.
func lengthSize(n int) int {
	switch {
	case n < 0x80:
		return 1
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	default:
		return 4
	}
}

// appendElement appends an element with the shortest length.
func appendElement(dst, tag, content []byte) []byte {
	dst = append(dst, tag...)
	n := len(content)
	switch lengthSize(n) {
	case 1:
		dst = append(dst, byte(n))
	case 2:
		dst = append(dst, 0x81, byte(n))
	case 3:
		dst = append(dst, 0x82, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, content...)
}

// JoinOctets joins octet strings in DER.
func JoinOctets(list []byte) (joined []byte, err error) { return join(list, tagOctetString) }

// join joins the parts of a string of a type, which are of that type or octet strings.
func join(list []byte, whole byte) (joined []byte, err error) {
	for r := reader(list); !r.empty(); {
		part, err := r.next()
		if err != nil || part.tag != whole && part.tag != tagOctetString {
			return nil, errBER
		}
		joined = append(joined, part.content...)
	}
	return joined, nil
}

// UnmarshalBER is [asn1.Unmarshal] of the first element of ber.
func UnmarshalBER(ber []byte, into any) error {
	der, err := DER(ber)
	if err == nil {
		_, err = asn1.Unmarshal(der, into)
	}
	return err
}
