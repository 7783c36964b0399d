package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Key joins segments to the key of a record. Each segment may be any text: what a key cannot hold is written as '=' and two
// hexadecimal digits, and an empty segment as "=".
func Key(segments ...string) string {
	if !slices.ContainsFunc(segments, unplain) {
		return strings.Join(segments, ".")
	}
	var b strings.Builder
	for n, s := range segments {
		if n > 0 {
			b.WriteByte('.')
		}
		escape(&b, s)
	}
	return b.String()
}

func escape(b *strings.Builder, s string) {
	if s == "" {
		b.WriteByte('=')
	}
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(b, "=%02X", c)
		}
	}
}

// unplain reports whether a segment has to be escaped.
func unplain(s string) bool {
	for i := range len(s) {
		if !plain(s[i]) {
			return true
		}
	}
	return s == ""
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// Segments splits a key into the texts that [Key] joined; false for a key that Key does not make.
func Segments(key string) ([]string, bool) {
	list := strings.Split(key, ".")
	for n, s := range list {
		text, ok := unescape(s)
		if !ok {
			return nil, false
		}
		list[n] = text
	}
	return list, true
}

func unescape(s string) (string, bool) {
	if s == "=" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case plain(c):
			b.WriteByte(c)
		case c == '=' && i+2 < len(s):
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil || plain(byte(n)) || s[i+1:i+3] != strings.ToUpper(s[i+1:i+3]) {
				return "", false
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			return "", false
		}
	}
	return b.String(), s != ""
}

// The first segments of keys.
const (
	kindStore   = "store"   // the identity of the store and its pool: one record
	kindNode    = "node"    // by name
	kindPage    = "leases"  // of the slots of the pool, by number
	kindLease   = "lease"   // by slot of the pool: in the work and in the copy on disk; the store has pages of them
	kindSlice   = "slice"   // by number
	kindPlace   = "place"   // by user and number
	kindOrder   = "order"   // by id
	kindBan     = "ban"     // by what the name is of, and the name
	kindFile    = "ccd"     // by common name
	kindRevoked = "revoked" // by serial number
)

func nodeKey(name string) string { return Key(kindNode, name) }
func leaseKey(slot int) string   { return Key(kindLease, strconv.Itoa(slot)) }
func sliceKey(n int) string      { return Key(kindSlice, strconv.Itoa(n)) }
func placeKey(user string, n int) string {
	return Key(kindPlace, user, strconv.Itoa(n))
}

// placeOf is the number of a place's key, 0 for a key that has none.
func placeOf(key string) int {
	n, _ := strconv.Atoi(key[strings.LastIndexByte(key, '.')+1:])
	return min(max(n, 0), placesMost-1)
}

// placesMost is how many places a user may have at the most.
const placesMost = 1000
