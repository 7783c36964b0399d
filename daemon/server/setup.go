package server

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/server/pool"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/transport"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// setup is a configuration with everything its files hold. It is immutable: a reload makes another one.
type setup struct {
	*config.Options
	prof  *config.Connection // where and how we listen
	tls   *tlsconf.Config
	wrap  ctrlwrap.Server
	token *keys.TokenKey               // auth-gen-token
	files map[string][sha256.Size]byte // what the files held, by option

	listeners []listener  // by transport.Peer.Listener
	plugins   *plugin.Set // nil without any
}

// load reads keys and certificates.
func load(o *config.Options, passphrase func() (string, error)) (*setup, error) {
	s := &setup{Options: o, prof: &o.Connections[0]}
	for _, l := range s.prof.Listeners {
		own, _ := netip.ParseAddr(l.Host) // a name is known when the socket is opened
		s.listeners = append(s.listeners, newListener(l.Proto, netip.AddrPortFrom(own, 0)))
	}
	var err error
	if s.tls, err = loadTLS(o, passphrase); err != nil {
		return nil, err
	}
	if err := s.loadWrap(); err != nil {
		return nil, err
	}
	if o.AuthGenToken && o.AuthTokenSecret.Set() {
		text, err := o.AuthTokenSecret.Load()
		if err != nil {
			return nil, err
		}
		if s.token, err = keys.ParseTokenKey(text); err != nil {
			return nil, fmt.Errorf("auth-gen-token-secret %s: %w", o.AuthTokenSecret, err)
		}
	}
	s.files = fingerprints(o)
	return s, nil
}

func loadTLS(o *config.Options, passphrase func() (string, error)) (*tlsconf.Config, error) {
	t, err := material.TLSOptions(o)
	if err != nil {
		return nil, err
	}
	t.Passphrase = passphrase
	return tlsconf.Build(t)
}

func (s *setup) loadWrap() error {
	if src := s.prof.TLSAuth; src.Set() {
		key, err := material.StaticKey("tls-auth", src)
		if err != nil {
			return err
		}
		s.wrap.TLSAuthKey = key
		s.wrap.Direction = material.Direction(s.prof.KeyDirection)
		if s.wrap.Digest, err = keys.ParseDigest(s.Auth); err != nil {
			return fmt.Errorf("auth %s: %w", s.Auth, err)
		}
	}
	if src := s.prof.TLSCrypt; src.Set() {
		key, err := material.StaticKey("tls-crypt", src)
		if err != nil {
			return err
		}
		s.wrap.TLSCrypt = key
	}
	if src := s.prof.TLSCryptV2; src.Set() {
		text, err := src.Load()
		if err != nil {
			return err
		}
		if s.wrap.WrapKey, err = keys.ParseWrapKey(text); err != nil {
			return fmt.Errorf("tls-crypt-v2 server key %s: %w", src, err)
		}
	}
	return nil
}

// wrapping is how control packets are protected.
func (s *setup) wrapping() engine.Wrapping {
	switch {
	case s.wrap.TLSAuthKey != nil:
		return engine.TLSAuth
	case s.wrap.Plain():
		return engine.Unwrapped
	default:
		return engine.TLSCrypt
	}
}

// at is the setup of a server with these listeners.
func (s *setup) at(listeners []listener) *setup {
	c := *s
	c.listeners = listeners
	return &c
}

// tap reports whether clients send Ethernet frames.
func (s *setup) tap() bool { return s.DevType == config.DevTap }

// poolConfig is the range of addresses for clients, false when there is none.
func (s *setup) poolConfig() (pool.Config, bool) {
	c := pool.Config{DuplicateCN: s.DuplicateCN, Base6: s.IfconfigIPv6Pool.Local}
	if s.IfconfigPool.Set() {
		c.Start, c.End = s.IfconfigPool.Start, s.IfconfigPool.End
		c.Net30 = !s.tap() && s.Topology == config.TopologyNet30
	}
	return c, c.Start.IsValid() || c.Base6.IsValid()
}

// netmask is the mask pushed to clients of a subnet.
func (s *setup) netmask() netip.Addr {
	if s.IfconfigPool.Netmask.IsValid() {
		return s.IfconfigPool.Netmask
	}
	return s.Ifconfig.Remote
}

// needsCredentials reports whether a verifier checks user names and passwords.
func (s *setup) needsCredentials() bool {
	return s.ManagementClientAuth || s.wants(s.AuthUserPassVerify, plugin.AuthUserPassVerify)
}

// wants reports whether there is a script, or a plugin that hears of one of the events.
func (s *setup) wants(script string, e plugin.Event) bool { return script != "" || s.plugins.Wants(e) }

// ownOptions are the options strings of our key messages, by transport.
type ownOptions struct{ udp, tcp string }

// of is the options string for a client on l.
func (o *ownOptions) of(l transport.Link) string {
	if l.RemoteAddr().IsValid() {
		return o.tcp
	}
	return o.udp
}

func (s *setup) ownOptions() ownOptions { return ownOptions{s.occ("UDPv4"), s.occ("TCPv4_SERVER")} }

func (s *setup) occ(proto string) string {
	if s.DisableOCC {
		return message.OptionsVersion
	}
	o := message.Options{
		TAP: s.tap(), TunMTU: s.prof.TunMTU, Proto: proto, Framing: s.Framing != config.FramingNone && s.Framing != config.FramingMigrate,
		Fragment: s.prof.Fragment > 0, KeyDir: -1, Auth: strings.ToUpper(s.Auth), Keysize: 128, TLSAuth: s.wrap.TLSAuthKey != nil, Server: true,
	}
	if o.TLSAuth && s.prof.KeyDirection != config.KeyBidirectional {
		o.KeyDir = int(s.prof.KeyDirection)
	}
	return o.String()
}

// controlSize is the largest control packet as UDP payload or TCP frame, in bytes.
func (s *setup) controlSize(v6 bool) int {
	outer := 28
	if v6 {
		outer = 48
	}
	return max(s.prof.MaxPacketSize, 154) - outer
}

// renegAfter draws the age at which a key of ours is renewed.
func (s *setup) renegAfter() time.Duration {
	lo, hi := s.RenegSecMin, s.RenegSec
	if hi <= 0 || lo >= hi {
		return hi
	}
	n, err := rand.Int(rand.Reader, big.NewInt(int64(hi-lo)))
	if err != nil {
		return hi
	}
	return lo + time.Duration(n.Int64())
}

// hooksAtOnce is how many hooks may run at once.
const hooksAtOnce = 64
