package message

import (
	"errors"
	"slices"
	"strings"
)

// ErrNoSharedCipher is the reason that a client is refused with, as it reads it.
var ErrNoSharedCipher = errors.New("Data channel cipher negotiation failed (no shared cipher)") //nolint:staticcheck // wire text

// ServerCipher picks the data cipher of a client: the first of the server's list that the client accepts. options is the client's
// options string; its cipher counts only when the client sent no list. fallback, may be "", serves clients that
// tell nothing at all. It returns ErrNoSharedCipher when there is none.
//
// Rule: docs/protocol.md#38-negotiation.
func ServerCipher(ours []string, p *PeerInfo, options, fallback string) (string, error) {
	theirs, authoritative := p.Ciphers()
	remote := OptionsCipher(options)
	for _, c := range ours {
		if slices.Contains(theirs, c) || (!authoritative && remote == c) {
			return c, nil
		}
	}
	if len(theirs) == 0 && remote == "" && fallback != "" {
		return fallback, nil
	}
	return "", ErrNoSharedCipher
}

// SharedCipher is the first of the TLS server's ciphers that the TLS client has too, or "": the choice of two peers without a
// pull.
func SharedCipher(server, client []string) string {
	for _, s := range server {
		if s != "" && slices.ContainsFunc(client, func(c string) bool { return strings.EqualFold(c, s) }) {
			return s
		}
	}
	return ""
}
