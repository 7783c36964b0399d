package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/mgmt/nearest"
)

// unrecognized begins stock's one message about unknown names and wrong numbers of parameters.
const unrecognized = "Unrecognized option"

// instead says what to do about an option that stock has had once, or has elsewhere, or means to remove.
var instead = map[string]string{
	// removed
	"client-cert-not-required": "use `verify-client-cert none`",
	"compat-names":             "remove it; names have the form `CN=name` now, which verify-x509-name compares with",
	"no-name-remapping":        "remove it; names have the form `CN=name` now, which verify-x509-name compares with",
	"key-method":               "remove it; method 2 is the only one there is",
	"no-iv":                    "remove it; packets always have an IV",
	"keysize":                  "remove it; the cipher's name says the size, as in AES-256-GCM",
	"ncp-disable":              "remove it; ciphers are always negotiated, `data-ciphers` lists them",
	"tls-remote":               "use `verify-x509-name NAME name`",
	"ifconfig-pool-linear":     "use `topology p2p`",
	"max-routes":               "remove it; their number has no limit",
	"mtu-dynamic":              "use `fragment`",
	"inetd":                    "remove it; systemd or another supervisor starts the daemon",
	"dhcp-pre-release":         windows,
	"auto-proxy":               "use `http-proxy HOST PORT`, or `management-query-proxy` to be asked",
	"http-proxy-fallback":      "use a `<connection>` with `http-proxy` behind one without",
	"longlived":                "remove it",
	"management-client-pf":     "use the packet filter of the system, for example in a client-connect script",
	"pkcs11-id-type":           "use `pkcs11-id`", "pkcs11-slot": "use `pkcs11-id`", "pkcs11-slot-type": "use `pkcs11-id`", "pkcs11-sign-mode": "use `pkcs11-private-mode`",
	"show-pkcs11-slots": "use `show-pkcs11-ids`", "show-pkcs11-objects": "use `show-pkcs11-ids`",

	// on their way out
	"comp-lzo":           "remove it at both ends, or `comp-lzo no` while clients still have it",
	"compress":           "remove it at both ends, or `compress migrate` at a server while clients still have it",
	"no-replay":          "remove it",
	"ns-cert-type":       "use `remote-cert-tls`",
	"ncp-ciphers":        "use `data-ciphers`",
	"prng":               "remove it",
	"secret":             "use TLS: docs/tutorial.md shows how, and peer-fingerprint needs no authority",
	"tun-ipv6":           "remove it",
	"http-proxy-retry":   "use `connect-retry-max`",
	"http-proxy-timeout": "use `connect-timeout`",
	"socks-proxy-retry":  "use `connect-retry-max`",
	"link-mtu":           "use `tun-mtu`",
	"verify-hash":        "use `peer-fingerprint`",
	"ecdh-curve":         "use `tls-groups`",
	"engine":             "remove it",
	"disable-occ":        "remove it",
	"opt-verify":         "remove it; peers agree on ciphers by `data-ciphers`",
	"tcp-nodelay":        "use `socket-flags TCP_NODELAY`, at a server with `push \"socket-flags TCP_NODELAY\"`",
	"udp-mtu":            "use `tun-mtu`",

	// elsewhere
	"block-outside-dns": windows, "register-dns": windows, "ip-win32": windows, "dhcp-renew": windows, "dhcp-release": windows, "tap-sleep": windows,
	"win-sys": windows, "windows-driver": windows, "cryptoapicert": "it is for Windows; use `cert` and `key`, or `pkcs11-id` for a smart card",
	"rdns-internal": windows, "dhcp-internal": windows, "show-net-up": windows, "show-valid-subnets": windows, "show-proxy-settings": windows,
	"dco":     "remove it: this process carries the packets itself",
	"service": windows, "pause-exit": windows, "show-net": windows, "allow-nonadmin": windows, "msg-channel": windows, "show-adapters": windows,
}

const windows = "it is for Windows: remove it, or write `setenv opt` before it, so that other systems pass it over"

// renamed are the old names of options, which messages call by the new ones.
var renamed = map[string]string{"ncp-ciphers": "data-ciphers", "udp-mtu": "link-mtu", "server-poll-timeout": "connect-timeout"}

// calls reports whether a message that names an option is about a line with that option, or with its old name.
func calls(name, line string) bool { return line == name || renamed[line] == name }

// unknown is the text about an option that is not in the table.
func unknown(name string) string {
	if do := instead[name]; do != "" {
		return "unknown option " + name + ": " + do
	}
	text := "unknown option " + name
	if near := Nearest(name); near != "" {
		text += "; did you mean " + near + "?"
	}
	return text
}

// remedies say what to do about a warning that holds a text.
var remedies = []struct{ text, do string }{
	{"No server certificate verification method", "`remote-cert-tls server` is one"},
	{"group or others accessible", "`chmod 600` closes it"},
	{"management on a TCP port WITHOUT passwords", "name a file with a password behind the port, or use a socket: `management PATH unix`"},
	{"--keepalive option is missing", "`keepalive 10 60` is usual"},
	{"--management is not specified", "a line `management SOCKET unix` does it, as the packaged units do"},
	{"--nobind doesn't make sense", "`remote HOST` names the server"},
	{"--topology net30 support", "`topology subnet` does it"},
}

// remedied is a warning with what to do about it.
func remedied(text string) string {
	for _, r := range remedies {
		if strings.Contains(text, r.text) {
			return strings.TrimSuffix(text, ".") + ": " + r.do
		}
	}
	return text
}

// Nearest is the option that a name that is none may mean, "" for nothing.
func Nearest(name string) string {
	if table()[name] != nil || name == "" {
		return ""
	}
	return nearest.Name(name, slices.Sorted(maps.Keys(table())), 2)
}

// takes says how many parameters an option takes, and how many it has got.
func takes(o *option, given int) string {
	return fmt.Sprintf("%s, and here it has %d", takesAny(o), given)
}

func takesAny(o *option) string {
	switch {
	case o.max == 0:
		return o.name + " takes no parameter"
	case o.max == many && o.min == 0:
		return o.name + " takes parameters"
	case o.max == many:
		return fmt.Sprintf("%s takes %s or more", o.name, plural(o.min, "parameter"))
	case o.min == 0:
		return fmt.Sprintf("%s takes at most %s", o.name, plural(o.max, "parameter"))
	case o.min == o.max:
		return fmt.Sprintf("%s takes %s", o.name, plural(o.min, "parameter"))
	default:
		return fmt.Sprintf("%s takes %d to %s", o.name, o.min, plural(o.max, "parameter"))
	}
}

func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}

// suggest adds to a text about a name the name, if the text lacks it, the nearest one, and where all are listed.
func suggest(text string, e *Error) string {
	word, names, list := e.Word, dataChannelCiphers, "--show-ciphers"
	switch {
	case e.Advice != "":
		return strings.TrimSuffix(text, ".") + ": " + e.Advice
	case e.About == "auth":
		names, list = nil, "--show-digests"
		for _, d := range keys.Digests() {
			names = append(names, d.Name)
		}
		fallthrough
	case e.About != "":
		word = strings.Split(text, " ")[1]
		if e.About == "auth" {
			word = strings.Split(text, "'")[1]
		}
	case word == "":
		return text
	default:
		text = strings.TrimSuffix(text, ".") + ": '" + word + "'"
	}
	if _, ok := canonicalCipher(word, true); ok {
		return text + "; `providers legacy default` beside it allows it"
	}
	if near := nearest.Name(strings.ToUpper(word), names, 2); near != "" {
		return text + "; did you mean " + near + "?"
	}
	return text + "; " + list + " lists what there is"
}
