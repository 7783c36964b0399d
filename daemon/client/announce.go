package client

import (
	"fmt"
	"slices"
	"strings"
)

// IV_PROTO bits a client announces.
const (
	protoDataV2       = 1 << 1 // P_DATA_V2 and peer ids
	protoRequestPush  = 1 << 2 // a push reply may come without a request
	protoEKM          = 1 << 3 // data keys from the TLS exporter
	protoPendingWords = 1 << 4 // keywords in AUTH_PENDING
	protoP2PNCP       = 1 << 5 // cipher negotiation between peers that do not pull
	protoDNS          = 1 << 6 // the dns option
	protoCCExit       = 1 << 7 // EXIT on the control channel, protocol-flags
	protoTempFailure  = 1 << 8 // AUTH_FAILED,TEMP
	protoDynamicCrypt = 1 << 9 // dynamic tls-crypt
	protoPushUpdate   = 1 << 12

	pullProto = protoDataV2 | protoRequestPush | protoEKM | protoPendingWords | protoDNS | protoCCExit | protoTempFailure | protoDynamicCrypt |
		protoPushUpdate
	peerProto = protoDataV2 | protoEKM | protoP2PNCP | protoDNS | protoCCExit | protoDynamicCrypt
)

// announcement is what our key message tells the peer about us.
type announcement struct {
	Version  string   // IV_VER
	Pull     bool     // we take options from the peer
	MaxMTU   int      // largest tunnel MTU we take, IV_MTU
	Ciphers  []string // data ciphers, best first
	Framings bool     // stub compression framings are understood
	Env      []string // "IV_SSO=…", "UV_x=…" set by the user
	Push     bool     // push-peer-info: tell the user's UV_ variables and what follows
	HWAddr   string   // MAC address of the way to the server
	Library  string   // TLS library
	Platform string   // IV_PLAT
}

// info returns the peer info: lines NAME=value, each ended by a newline.
func (a announcement) info() string {
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

// occ is what the options compatibility string is made of. It is informational, but old peers warn about differences.
type occ struct {
	TAP        bool
	TunMTU     int
	Proto      string // "UDPv4", "TCPv4_CLIENT"
	Framing    bool   // any compression framing
	Fragment   bool
	KeyDir     int // tls-auth key direction, -1 for none
	Cipher     string
	ShowCipher bool   // tell the cipher: peers that do not pull, or a pull client that has it in its list
	Auth       string // digest, "[null-digest]" for AEAD
	Keysize    int    // bits
	TLSAuth    bool
	Ifconfig   string // "remote local" in setups without pull, else empty
	IPv6       bool   // tun-ipv6 in setups without pull
	Server     bool
	Static     bool // static-key mode
}

// String composes the options compatibility string, which begins with "V4".
func (o occ) String() string {
	dev := "tun"
	if o.TAP {
		dev = "tap"
	}
	parts := []string{"V4", "dev-type " + dev, fmt.Sprintf("link-mtu %d", o.linkMTU()), fmt.Sprintf("tun-mtu %d", o.tunMTU()), "proto " + o.Proto}
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
	add(o.ShowCipher, "cipher "+o.Cipher)
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

func (o occ) tunMTU() int {
	if o.TAP {
		return o.TunMTU + 32
	}
	return o.TunMTU
}

// linkMTU is the size of the largest packet as old releases computed it: only ever compared for a warning.
func (o occ) linkMTU() int {
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
