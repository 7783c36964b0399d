package server

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/control"
)

// Bits of IV_PROTO, what a client can do.
//
// Rule: docs/protocol.md#36-iv_proto-bits.
const (
	protoDataV2      = 1 << 1
	protoRequestPush = 1 << 2
	protoTLSKeyExp   = 1 << 3
	protoAuthPending = 1 << 4
	protoCCExit      = 1 << 7
	protoAuthTemp    = 1 << 8
	protoDynTLSCrypt = 1 << 9
	protoDataEpoch   = 1 << 10
	protoPushUpdate  = 1 << 12
)

// peerInfo is what a client says about itself in its key message: `NAME=value` lines.
type peerInfo struct {
	// Lines are the accepted lines in the client's order.
	Lines []string
	// Proto is IV_PROTO, 0 when absent.
	Proto   uint32
	ciphers []string
	// listed says that the client sent IV_CIPHERS, which is then authoritative.
	listed bool
	ncp    int
	values map[string]string
}

// parsePeerInfo keeps the lines of s that control.PeerInfo does.
func parsePeerInfo(s string) peerInfo {
	p := peerInfo{Lines: control.PeerInfo(s), values: make(map[string]string)}
	for _, line := range p.Lines {
		name, value, _ := strings.Cut(line, "=")
		p.values[name] = value
		switch name {
		case "IV_PROTO":
			if n, err := strconv.ParseUint(value, 10, 32); err == nil {
				p.Proto = uint32(n)
			}
		case "IV_CIPHERS":
			p.listed = true
			p.ciphers = strings.Split(strings.ToUpper(value), ":")
		case "IV_NCP":
			p.ncp, _ = strconv.Atoi(value)
		}
	}
	return p
}

// Has reports whether the client announced a bit of IV_PROTO. No bit counts without the one for P_DATA_V2.
func (p *peerInfo) Has(bit uint32) bool { return p.Proto&protoDataV2 != 0 && p.Proto&bit != 0 }

// Get is the value of a line, or "".
func (p *peerInfo) Get(name string) string { return p.values[name] }

// Negotiates reports whether the client can be told a cipher by push.
func (p *peerInfo) Negotiates() bool { return p.listed || p.ncp >= 2 }

// errNoSharedCipher is the reason a client is refused with, as it reads it.
var errNoSharedCipher = errors.New("Data channel cipher negotiation failed (no shared cipher)") //nolint:staticcheck // wire text

// chooseCipher picks the data cipher: the first of the server's list that the client accepts. occ is the client's
// options string; its cipher counts only when the client sent no list. fallback, may be "", serves clients that
// tell nothing at all.
//
// Rule: docs/protocol.md#38-negotiation.
func chooseCipher(ours []string, p *peerInfo, occ, fallback string) (string, error) {
	theirs := p.ciphers
	if !p.listed && p.ncp >= 2 {
		theirs = []string{"AES-256-GCM", "AES-128-GCM"}
	}
	remote := occCipher(occ)
	for _, c := range ours {
		if slices.Contains(theirs, c) || (!p.listed && remote == c) {
			return c, nil
		}
	}
	if len(theirs) == 0 && remote == "" && fallback != "" {
		return fallback, nil
	}
	return "", errNoSharedCipher
}

// occCipher is the cipher an options string names, in upper case, or "".
func occCipher(occ string) string {
	for o := range strings.SplitSeq(occ, ",") {
		if c, ok := strings.CutPrefix(o, "cipher "); ok {
			return strings.ToUpper(c)
		}
	}
	return ""
}

// remap replaces the control characters of a name that a peer sent by '_', so that it is safe in logs and
// environments.
//
// Rule: docs/protocol.md#85-character-remapping-of-names.
func remap(s string) string {
	clean := func(c byte) bool { return c >= ' ' && c != 0x7f }
	for i := range len(s) {
		if !clean(s[i]) {
			b := []byte(s)
			for k := range b {
				if !clean(b[k]) {
					b[k] = '_'
				}
			}
			return string(b)
		}
	}
	return s
}

// negotiated are the entries of an options string that say nothing any more: ciphers are agreed upon, and sizes follow.
var negotiated = []string{"cipher", "keysize", "link-mtu"}

// mismatches compares a client's options string with what fits ours (opt-verify), and returns a line for each difference. An
// end that tells nothing is not compared.
func mismatches(ours, theirs string) []string {
	if ours == occVersion || theirs == occVersion {
		return nil
	}
	own := options(strings.NewReplacer("tls-server", "tls-client", "_SERVER", "_CLIENT", "keydir 0", "keydir 1", "keydir 1", "keydir 0").Replace(ours))
	peer := options(remap(theirs)) // it goes into the log
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(own)) {
		switch got, ok := peer[name]; {
		case !ok:
			lines = append(lines, fmt.Sprintf("WARNING: '%s' is present in local config but missing in remote config, local='%s'", name, own[name]))
		case got != own[name]:
			lines = append(lines, fmt.Sprintf("WARNING: '%s' is used inconsistently, local='%s', remote='%s'", name, own[name], got))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(peer)) {
		if _, ok := own[name]; !ok {
			lines = append(lines, fmt.Sprintf("WARNING: '%s' is present in remote config but missing in local config, remote='%s'", name, peer[name]))
		}
	}
	return lines
}

// options are the entries of an options string by name.
func options(occ string) map[string]string {
	all := make(map[string]string)
	for o := range strings.SplitSeq(occ, ",") {
		if name, _, _ := strings.Cut(o, " "); !slices.Contains(negotiated, name) {
			all[name] = o
		}
	}
	return all
}
