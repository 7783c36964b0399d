package control

import "strings"

// Bounds of what a peer may tell about itself: lines, and bytes of a line.
const (
	maxPeerInfoLines = 64
	maxPeerInfoLine  = 256
)

// PeerInfo returns the well-formed NAME=value lines of what a peer tells about itself. Names are IV_ or UV_ and letters,
// digits, '_'; anything else is left out, since the lines go into the environment of scripts: no PATH, no LD_PRELOAD. Values
// are tamed.
func PeerInfo(s string) []string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		name, value, ok := strings.Cut(line, "=")
		if ok && len(line) <= maxPeerInfoLine && len(lines) < maxPeerInfoLines && isPeerInfoName(name) {
			lines = append(lines, name+"="+tame(value))
		}
	}
	return lines
}

// isPeerInfoName reports whether a peer may set a variable of this name.
func isPeerInfoName(s string) bool {
	if !strings.HasPrefix(s, "IV_") && !strings.HasPrefix(s, "UV_") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// tame replaces by '_' what is not printable ASCII, blanks, and what begins a substitution in a shell, as stock does with
// what a peer tells about itself: "OpenSSL 3.0.19" is OpenSSL_3.0.19 in logs and environments.
func tame(s string) string {
	b := []byte(s)
	for k, c := range b {
		if c <= ' ' || c >= 0x7f || c == '$' || c == '(' || c == '`' {
			b[k] = '_'
		}
	}
	return string(b)
}
