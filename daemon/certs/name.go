package certs

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Attribute is one part of a name.
type Attribute struct {
	Type  asn1.ObjectIdentifier
	Value string // as text; "#" and the DER in hex for values that are no string

	oid []byte // content of the type
	tag byte
	raw []byte // DER of the value
}

// Names reads a distinguished name: its sets in order, each with its attributes. What comes after a part that cannot be read
// is left out.
func Names(raw []byte) [][]Attribute {
	r := reader(raw)
	name, err := r.want(tagSequence)
	if err != nil {
		return nil
	}
	var sets [][]Attribute
	for r = name.content; !r.empty(); {
		set, err := r.want(tagSet)
		if err != nil {
			return sets
		}
		var attrs []Attribute
		for s := set.content; !s.empty(); {
			a, err := attribute(&s)
			if err != nil {
				break
			}
			attrs = append(attrs, a)
		}
		sets = append(sets, attrs)
	}
	return sets
}

func attribute(r *reader) (Attribute, error) {
	pair, err := r.want(tagSequence)
	if err != nil {
		return Attribute{}, err
	}
	kind, err := pair.content.want(tagOID)
	if err != nil {
		return Attribute{}, err
	}
	value, err := pair.content.next()
	if err != nil {
		return Attribute{}, err
	}
	text, ok := str(value.tag, value.content)
	if !ok {
		text = "#" + hex.EncodeToString(value.raw)
	}
	return Attribute{Type: oid(kind.content), Value: text, oid: kind.content, tag: value.tag, raw: value.raw}, nil
}

// checkName refuses a name with a string that its own type forbids: invalid UTF-8, half a character, parts that DER could not join.
// OpenSSL reads no certificate with one, and what its text would be is anyone's guess. Characters that a type merely should not have are taken.
func checkName(raw []byte) error {
	for _, set := range Names(raw) {
		for _, a := range set {
			if isString(a.tag ^ tagConstructed) {
				return fmt.Errorf("name with a string of type %d in parts: %w", a.tag&tagNumber, errDER)
			}
			switch a.tag {
			case tagUTF8, tagBMPString, tagUniversalString:
				if _, ok := str(a.tag, contentOf(a.raw)); !ok {
					return fmt.Errorf("name with a malformed string of type %d: %w", a.tag, errDER)
				}
			}
		}
	}
	return nil
}

// str returns the text of a string of any type, as UTF-8. Bytes above 0x7f in the 8-bit types are taken for Latin-1.
func str(tag byte, b []byte) (string, bool) {
	switch tag {
	case tagUTF8:
		return string(b), utf8.Valid(b)
	case tagNumericString, tagPrintableString, tagT61String, tagIA5String, tagVisibleString:
		return latin1(b), true
	case tagBMPString:
		if len(b)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		return string(utf16.Decode(units)), true
	case tagUniversalString:
		if len(b)%4 != 0 {
			return "", false
		}
		runes := make([]rune, len(b)/4)
		for i := range runes {
			c := b[4*i : 4*i+4]
			runes[i] = rune(c[0])<<24 | rune(c[1])<<16 | rune(c[2])<<8 | rune(c[3])
			if !utf8.ValidRune(runes[i]) {
				return "", false
			}
		}
		return string(runes), true
	default:
		return "", false
	}
}

func latin1(b []byte) string {
	ascii := true
	for _, x := range b {
		ascii = ascii && x < 0x80
	}
	if ascii {
		return string(b)
	}
	runes := make([]rune, len(b))
	for i, x := range b {
		runes[i] = rune(x)
	}
	return string(runes)
}

// Canonical returns a name in the form in which equal names are the same bytes: strings of all types as UTF-8, spaces at the
// ends gone and others single, ASCII letters small, the parts of a set in order.
//
// Rule: RFC 5280, section 7.1.
func Canonical(raw []byte) string {
	var b strings.Builder
	for _, set := range Names(raw) {
		b.WriteString(part(canonicalSet(set)))
	}
	return b.String()
}

func canonicalSet(set []Attribute) string {
	parts := make([]string, len(set))
	for i, a := range set {
		value := "#" + string(a.raw)
		if text, ok := str(a.tag, contentOf(a.raw)); ok && a.tag != tagNumericString {
			value = "=" + fold(text)
		}
		parts[i] = part(string(a.oid)) + part(value)
	}
	slices.Sort(parts)
	return strings.Join(parts, "")
}

// part is s behind its length, so that no two lists of parts look alike.
func part(s string) string {
	n := len(s)
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + s //nolint:gosec // lengths of a certificate
}

func contentOf(raw []byte) []byte {
	r := reader(raw)
	e, err := r.next()
	if err != nil {
		return nil
	}
	return e.content
}

// fold joins the words of s by single spaces, its ASCII letters made small.
func fold(s string) string {
	space := func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }
	s = strings.Join(strings.FieldsFunc(s, space), " ")
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// SameName reports whether two names in DER are equal.
func SameName(a, b []byte) bool { return string(a) == string(b) || Canonical(a) == Canonical(b) }
