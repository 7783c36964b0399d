package client

import (
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/message"
)

// ownOptions composes our options compatibility string, for a link that calls itself proto.
func ownOptions(o *config.Options, p *config.Connection, proto string) string {
	s := message.Options{
		TAP: o.DevType == config.DevTap, TunMTU: p.TunMTU, Proto: proto, Framing: o.Framing != config.FramingNone,
		Fragment: p.Fragment > 0, KeyDir: -1, Auth: o.Auth, Keysize: 128, TLSAuth: p.TLSAuth.Set(), Server: o.TLSServer,
	}
	if p.OCCMTU > 0 {
		s.TunMTU = p.OCCMTU
	}
	s.Static = o.Secret.Set()
	if (p.TLSAuth.Set() || s.Static) && p.KeyDirection != config.KeyBidirectional {
		s.KeyDir = int(p.KeyDirection)
	}
	if o.CipherDefined && (!o.Pull || contains(o.DataCiphers, o.Cipher)) {
		s.Cipher = o.Cipher
		if suite, ok := data.Lookup(o.Cipher); ok {
			s.Keysize = suite.KeyBits()
			if suite.Mode == data.AEAD {
				s.Auth = "[null-digest]"
			}
		}
	}
	if !o.Pull && o.Ifconfig.Set() {
		s.Ifconfig = o.Ifconfig.Remote.String() + " " + o.Ifconfig.Local.String()
	}
	return s.String()
}

// announcement composes the peer info of our key message.
func announcement(o *config.Options, p *config.Connection, deps *Deps) string {
	n := message.Announcement{
		Version: deps.Version, Platform: "linux", Pull: o.Pull, MaxMTU: max(p.TunMTUMax, 1600), Ciphers: o.DataCiphers,
		Framings: o.Framing != config.FramingNone || o.AllowCompression != "", Push: o.PushPeerInfo, Library: "Go crypto/tls",
		NoEpoch: deps.Offload != nil,
	}
	if !o.Pull && len(o.DataCiphers) == 0 {
		return ""
	}
	if o.Pull && o.PushPeerInfo {
		n.Release = release()
		if gw, err := deps.Net.DefaultGateway(netip.IPv4Unspecified()); err == nil && len(gw.MAC) > 0 {
			n.HWAddr = gw.MAC.String()
		}
	}
	for _, e := range o.Env {
		n.Env = append(n.Env, e.Name+"="+e.Value)
	}
	return n.String()
}

// release is the system's, as uname -r prints it.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(e, s) {
			return true
		}
	}
	return false
}
