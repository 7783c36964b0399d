package message

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what a peer may tell about itself: lines, and bytes of a line.
const (
	maxPeerInfoLines = 64
	maxPeerInfoLine  = 256
)

// PeerInfo describes a peer, in its own key message.
//
// Rule: docs/protocol.md#35-peer-info.
type PeerInfo struct {
	// Lines are the accepted lines, NAME=value, in the peer's order. They are safe for logs and environments.
	Lines []string
	// Proto is IV_PROTO, 0 when absent.
	Proto Proto

	ciphers []string // of IV_CIPHERS, in upper case
	listed  bool     // IV_CIPHERS is there
	ncp     int      // IV_NCP
	values  map[string]string
}

// ParsePeerInfo keeps the well-formed NAME=value lines of s. Names are IV_ or UV_ and letters, digits, '_': the lines go into
// the environment of scripts, and a peer must not set PATH or LD_PRELOAD there. Values are tamed.
func ParsePeerInfo(s string) PeerInfo {
	p := PeerInfo{values: make(map[string]string)}
	for line := range strings.SplitSeq(s, "\n") {
		name, value, ok := strings.Cut(line, "=")
		if !ok || len(line) > maxPeerInfoLine || len(p.Lines) == maxPeerInfoLines || !isPeerInfoName(name) {
			continue
		}
		value = tame(value)
		p.Lines = append(p.Lines, name+"="+value)
		p.values[name] = value
		switch name {
		case "IV_PROTO":
			if n, err := strconv.ParseUint(value, 10, 32); err == nil {
				p.Proto = Proto(n)
			}
		case "IV_CIPHERS":
			p.listed = true
			p.ciphers = strings.Split(strings.ToUpper(value), ":")
			if n := slices.Index(p.ciphers, "NONE"); n >= 0 {
				p.ciphers[n] = "none" // the one name in small letters
			}
		case "IV_NCP":
			p.ncp, _ = strconv.Atoi(value)
		}
	}
	return p
}

// Has reports whether the peer announced a bit of IV_PROTO.
func (p *PeerInfo) Has(bit Proto) bool { return p.Proto.Has(bit) }

// Get is the value of a line, or "".
func (p *PeerInfo) Get(name string) string { return p.values[name] }

// Negotiates reports whether the peer takes a cipher by push.
func (p *PeerInfo) Negotiates() bool { return p.listed || p.ncp >= 2 }

// SSO reports whether the peer announced a method of pending authentication, such as "webauth", in IV_SSO.
func (p *PeerInfo) SSO(method string) bool {
	return slices.Contains(strings.Split(p.Get("IV_SSO"), ","), method)
}

// Ciphers are the data ciphers that the peer accepts, in upper case but for "none". authoritative says that it listed them itself; else the
// list holds the ciphers that IV_NCP stands for, or none.
func (p *PeerInfo) Ciphers() (list []string, authoritative bool) {
	if !p.listed && p.ncp >= 2 {
		return []string{"AES-256-GCM", "AES-128-GCM"}, false
	}
	return p.ciphers, p.listed
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

// Announcement describes us to a peer, in our key message.
type Announcement struct {
	Version  string   // IV_VER
	Pull     bool     // we take options from the peer
	MaxMTU   int      // largest tunnel MTU we take in bytes, IV_MTU
	Ciphers  []string // data ciphers, best first
	Framings bool     // stub compression framings are understood
	Env      []string // "IV_SSO=…", "UV_x=…" set by the user
	Push     bool     // push-peer-info: tell the user's UV_ variables and what follows
	HWAddr   string   // MAC address of the way to the server
	Library  string   // TLS library
	Release  string   // of the system, IV_PLAT_VER
	Platform string   // IV_PLAT
	NoEpoch  bool     // the epoch data format is not ours
}

// String is the peer info: lines NAME=value, each ended by a newline.
func (a Announcement) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	proto := pullProto
	if a.Pull {
		line("IV_VER=%s", a.Version)
		line("IV_PLAT=%s", a.Platform)
		line("IV_TCPNL=1")
		if a.MaxMTU > 0 {
			line("IV_MTU=%d", a.MaxMTU)
		}
		// 2.4 servers look at nothing else before they push a cipher.
		if slices.Contains(a.Ciphers, "AES-256-GCM") && slices.Contains(a.Ciphers, "AES-128-GCM") {
			line("IV_NCP=2")
		}
	} else {
		proto = peerProto
	}
	if a.NoEpoch {
		proto &^= ProtoDataEpoch
	}
	line("IV_CIPHERS=%s", strings.Join(a.Ciphers, ":"))
	line("IV_PROTO=%d", proto)
	if !a.Pull {
		return b.String()
	}
	if a.Framings {
		line("IV_LZO_STUB=1")
		line("IV_COMP_STUB=1")
		line("IV_COMP_STUBv2=1")
	}
	if a.Push {
		if a.HWAddr != "" {
			line("IV_HWADDR=%s", a.HWAddr)
		}
		line("IV_SSL=%s", a.Library)
		if a.Release != "" {
			line("IV_PLAT_VER=%s", a.Release)
		}
	}
	for _, e := range a.Env {
		switch {
		case strings.HasPrefix(e, "IV_GUI_VER="), strings.HasPrefix(e, "IV_SSO="):
			line("%s", e)
		case a.Push && (strings.HasPrefix(e, "UV_") || strings.HasPrefix(e, "IV_PLAT_VER=")):
			line("%s", e)
		}
	}
	return b.String()
}
