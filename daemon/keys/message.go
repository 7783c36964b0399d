package keys

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
)

// Errors of the key-method-2 message.
var (
	ErrMessageShort  = errors.New("keys: key message incomplete")
	ErrKeyMethod     = errors.New("keys: key message is not key method 2")
	ErrMessageString = errors.New("keys: string in key message malformed or too long")
)

// Limits of the key-method-2 message, in bytes. String limits count the closing NUL.
const (
	MaxMessage  = 2048 // stock reads one TLS record into a buffer of this size
	MaxOptions  = 512
	MaxUserPass = 4096 // builds without PKCS#11 stop at 128
	keyMethod   = 2
)

// Message is the key-method-2 message, the first application data of each direction; the client sends first.
//
//	00000000 | 02 | pre_master 48 (client only) | random1 32 | random2 32 |
//	options str | username str | password str | peer info str
//	str = u16 length | bytes | NUL, the length counting the NUL; an empty string is 0000 and nothing else
//
// An empty password behind a user name is 0001 00: peers take 0000 for credentials that are missing.
//
// Rule: docs/protocol.md#33-key-method-2-message.
type Message struct {
	PreMaster [48]byte // from the client only
	Random1   [32]byte
	Random2   [32]byte
	Options   string // the OCC string
	Username  string
	Password  string
	PeerInfo  string // lines NAME=value, each closed by a line feed
}

// LogValue shows the options string only.
func (m *Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("options", m.Options), slog.Bool("username", m.Username != ""))
}

// Fill draws the randoms of a message sent by role.
func (m *Message) Fill(rand io.Reader, role Role) error {
	if role == Client {
		if _, err := io.ReadFull(rand, m.PreMaster[:]); err != nil {
			return err
		}
	}
	if _, err := io.ReadFull(rand, m.Random1[:]); err != nil {
		return err
	}
	_, err := io.ReadFull(rand, m.Random2[:])
	return err
}

// Wipe clears the secrets. The strings are dropped; Go gives no way to overwrite them.
func (m *Message) Wipe() {
	clear(m.PreMaster[:])
	clear(m.Random1[:])
	clear(m.Random2[:])
	m.Password = ""
}

// Append encodes the message as sent by sender. It returns ErrMessageString if a string is longer than its limit or
// contains a NUL, and dst unchanged. That the whole stays below MaxMessage is for the caller to check.
func (m *Message) Append(dst []byte, sender Role) ([]byte, error) {
	strs := [...]struct {
		s     string
		limit int
	}{{m.Options, MaxOptions}, {m.Username, MaxUserPass}, {m.Password, MaxUserPass}, {m.PeerInfo, 0xFFFF}}
	out := append(dst, 0, 0, 0, 0, keyMethod)
	if sender == Client {
		out = append(out, m.PreMaster[:]...)
	}
	out = append(out, m.Random1[:]...)
	out = append(out, m.Random2[:]...)
	const password = 2 // in strs
	for i, f := range strs {
		if len(f.s)+1 > f.limit || indexNUL(f.s) >= 0 {
			return dst, ErrMessageString
		}
		if i == password && f.s == "" && m.Username != "" {
			out = append(out, 0, 1, 0)
			continue
		}
		out = appendString(out, f.s)
	}
	return out, nil
}

// Parse decodes a message sent by sender and returns the bytes it takes; b is not kept. It returns ErrMessageShort
// while b ends inside the fields every peer sends (up to the options string) or inside a string, ErrKeyMethod for
// another method, ErrMessageString for a string above its limit. Fields of old peers missing at the very end are
// empty. After an error m is unspecified.
func (m *Message) Parse(b []byte, sender Role) (n int, err error) {
	rest := b
	if len(rest) < 5 {
		return 0, ErrMessageShort
	}
	if binary.BigEndian.Uint32(rest) != 0 || rest[4]&0x0F != keyMethod {
		return 0, ErrKeyMethod
	}
	rest = rest[5:]
	*m = Message{}
	randoms := [][]byte{m.Random1[:], m.Random2[:]}
	if sender == Client {
		randoms = [][]byte{m.PreMaster[:], m.Random1[:], m.Random2[:]}
	}
	for _, r := range randoms {
		if len(rest) < len(r) {
			return 0, ErrMessageShort
		}
		copy(r, rest)
		rest = rest[len(r):]
	}
	if m.Options, rest, err = parseString(rest, MaxOptions); err != nil {
		return 0, err
	}
	for _, f := range []struct {
		s     *string
		limit int
	}{{&m.Username, MaxUserPass}, {&m.Password, MaxUserPass}, {&m.PeerInfo, 0xFFFF}} {
		if len(rest) == 0 {
			break
		}
		if *f.s, rest, err = parseString(rest, f.limit); err != nil {
			return 0, err
		}
	}
	return len(b) - len(rest), nil
}

func appendString(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, 0, 0)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)+1))
	dst = append(dst, s...)
	return append(dst, 0)
}

// parseString reads one str. A NUL inside cuts the text there, since the C peers would see it so.
func parseString(b []byte, limit int) (s string, rest []byte, err error) {
	if len(b) < 2 {
		return "", nil, ErrMessageShort
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if n > limit {
		return "", nil, ErrMessageString
	}
	if len(b) < n {
		return "", nil, ErrMessageShort
	}
	if n == 0 {
		return "", b, nil
	}
	text := string(b[:n])
	end := indexNUL(text)
	if end < 0 {
		return "", nil, ErrMessageString
	}
	return text[:end], b[n:], nil
}

func indexNUL(s string) int {
	for i := range len(s) {
		if s[i] == 0 {
			return i
		}
	}
	return -1
}
