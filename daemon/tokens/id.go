package tokens

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ID names a certificate on a token.
type ID struct {
	Manufacturer, Model, Serial, Label string // of the token
	Object                             []byte // CKA_ID
}

// ErrID is an id that is not in the form of [ID.String].
var ErrID = errors.New("not a PKCS#11 id: manufacturer/model/serial/label/id in hexadecimal digits")

// String is the serialised form, which option pkcs11-id takes:
//
//	manufacturer/model/serial/label/0A1B
//
// Bytes other than ASCII letters, digits and "=^_~" are written \xHH.
func (id ID) String() string {
	var b strings.Builder
	for _, part := range []string{id.Manufacturer, id.Model, id.Serial, id.Label} {
		escape(&b, part)
		b.WriteByte('/')
	}
	return b.String() + strings.ToUpper(hex.EncodeToString(id.Object))
}

func escape(b *strings.Builder, s string) {
	for i := range len(s) {
		c := s[i]
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte("=^_~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(b, `\x%02X`, c)
		}
	}
}

// ParseID reads the serialised form. Bytes that need no escape may have one, and the other way round but for "/" and "\".
// The error is ErrID.
func ParseID(s string) (ID, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 5 || parts[4] == "" {
		return ID{}, ErrID
	}
	var id ID
	for i, dst := range []*string{&id.Manufacturer, &id.Model, &id.Serial, &id.Label} {
		text, err := unescape(parts[i])
		if err != nil {
			return ID{}, err
		}
		*dst = text
	}
	object, err := hex.DecodeString(parts[4])
	if err != nil {
		return ID{}, ErrID
	}
	id.Object = object
	return id, nil
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(s, `\`)
		b.WriteString(plain)
		if !found {
			return b.String(), nil
		}
		if len(rest) < 3 || rest[0] != 'x' {
			return "", ErrID
		}
		c, err := hex.DecodeString(rest[1:3])
		if err != nil {
			return "", ErrID
		}
		b.Write(c)
		s = rest[3:]
	}
}
