package message

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// OptionsVersion begins an options string, and is all of it when the rest is not to be told (disable-occ).
const OptionsVersion = "V4"

// Options are the parts of an options string (OCC). Peers only compare it for warnings, unless one has opt-verify.
//
// Rule: docs/protocol.md#34-options-string-occ.
type Options struct {
	TAP      bool
	TunMTU   int    // bytes
	Proto    string // "UDPv4", "TCPv4_CLIENT" …
	Framing  bool   // any compression framing
	Fragment bool
	KeyDir   int    // direction of tls-auth or of a static key, -1 for none
	Cipher   string // "" is not told
	Auth     string // digest, "[null-digest]" for AEAD
	Keysize  int    // bits
	TLSAuth  bool
	Ifconfig string // "remote local" in setups without pull, else empty
	IPv6     bool   // tun-ipv6 in setups without pull
	Server   bool   // TLS server
	Static   bool   // static-key mode
}

// String composes the options string.
func (o Options) String() string {
	dev := "tun"
	if o.TAP {
		dev = "tap"
	}
	parts := []string{
		OptionsVersion, "dev-type " + dev, fmt.Sprintf("link-mtu %d", o.linkMTU()), fmt.Sprintf("tun-mtu %d", o.tunMTU()), "proto " + o.Proto,
	}
	add := func(on bool, s string) {
		if on {
			parts = append(parts, s)
		}
	}
	add(o.IPv6, "tun-ipv6")
	add(o.Ifconfig != "", "ifconfig "+o.Ifconfig)
	add(o.Framing, "comp-lzo")
	add(o.Fragment, "mtu-dynamic")
	add(o.KeyDir >= 0, fmt.Sprintf("keydir %d", o.KeyDir))
	add(o.Cipher != "", "cipher "+o.Cipher)
	parts = append(parts, "auth "+o.Auth, fmt.Sprintf("keysize %d", o.Keysize))
	if o.Static {
		return strings.Join(append(parts, "secret"), ",")
	}
	add(o.TLSAuth, "tls-auth")
	role := "tls-client"
	if o.Server {
		role = "tls-server"
	}
	return strings.Join(append(parts, "key-method 2", role), ",")
}

func (o Options) tunMTU() int {
	if o.TAP {
		return o.TunMTU + 32
	}
	return o.TunMTU
}

// linkMTU is the size of the largest packet as old releases computed it: only ever compared for a warning.
func (o Options) linkMTU() int {
	n := o.tunMTU() + 1 // opcode
	if o.Static {
		n += 3 // none, but the packet id is longer
	}
	if o.Framing {
		n++
	}
	if o.Fragment {
		n += 4
	}
	if strings.HasPrefix(o.Proto, "TCP") {
		n += 2
	}
	mac := map[string]int{"SHA1": 20, "MD5": 16, "SHA224": 28, "SHA256": 32, "SHA384": 48, "SHA512": 64}[o.Auth]
	switch {
	case strings.HasSuffix(o.Cipher, "-GCM"), o.Cipher == "CHACHA20-POLY1305":
		n += 4 + 16 + 12 + 16
	case strings.HasSuffix(o.Cipher, "-CBC") && strings.HasPrefix(o.Cipher, "AES"):
		n += 4 + mac + 16 + 16
	default: // what peers without a cipher of their own pretend to have
		n += 4 + mac + 16
	}
	return n
}

// OptionsCipher is the cipher that an options string names, in upper case, or "".
func OptionsCipher(s string) string {
	for o := range strings.SplitSeq(s, ",") {
		if c, ok := strings.CutPrefix(o, "cipher "); ok {
			return strings.ToUpper(c)
		}
	}
	return ""
}

// negotiated are the entries of an options string that mean nothing any more: ciphers are agreed upon, and sizes follow.
var negotiated = []string{"cipher", "keysize", "link-mtu"}

// Mismatches compares a client's options string with the counterpart of ours (opt-verify), and returns a line for each
// difference. A string without entries is not compared.
func Mismatches(ours, theirs string) []string {
	if ours == OptionsVersion || theirs == OptionsVersion {
		return nil
	}
	own := entries(strings.NewReplacer("tls-server", "tls-client", "_SERVER", "_CLIENT", "keydir 0", "keydir 1", "keydir 1", "keydir 0").Replace(ours))
	peer := entries(Remap(theirs)) // it goes into the log
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

// entries are the entries of an options string by name.
func entries(s string) map[string]string {
	all := make(map[string]string)
	for o := range strings.SplitSeq(s, ",") {
		if name, _, _ := strings.Cut(o, " "); !slices.Contains(negotiated, name) {
			all[name] = o
		}
	}
	return all
}
