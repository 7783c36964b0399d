package message

import (
	"errors"
	"fmt"
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

// ClientCipher picks the data cipher of a client that pulls: the pushed one, which must be in the client's list or its
// fallback; else the one that the server's options string names, which must be in the list; else the fallback. pushed,
// options and fallback may be "". Without a cipher it returns the lines that say why, in the order they are logged.
//
// Rule: docs/protocol.md#38-negotiation.
func ClientCipher(ours []string, fallback, pushed, options string) (cipher string, problems []string) {
	list := strings.Join(ours, ":")
	named := OptionsCipher(options)
	switch {
	case pushed != "" && (slices.Contains(ours, pushed) || pushed == fallback):
		return pushed, nil
	case pushed != "":
		return "", []string{
			fmt.Sprintf("Error: negotiated cipher not allowed - %s not in %s", pushed, list),
			"OPTIONS ERROR: failed to import crypto options",
		}
	case slices.Contains(ours, named):
		return named, nil
	case named != "":
		problems = append(problems, fmt.Sprintf("OPTIONS ERROR: failed to negotiate cipher with server.  Add the server's cipher ('%s') to --data-ciphers (currently '%s') if you want to connect to this server.", named, list))
	case fallback != "":
		return fallback, nil
	default:
		problems = append(problems, "OPTIONS ERROR: failed to negotiate cipher with server. Configure --data-ciphers-fallback if you want to connect to this server.")
	}
	return "", append(problems, "ERROR: Failed to apply push options")
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
