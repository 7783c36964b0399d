package client

import (
	"fmt"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// startStatic prepares an attempt of static-key mode: no session, one key for good, and the data channel opens as soon as
// the link is there.
func (a *attempt) startStatic() error {
	o, p := a.opts, a.prof
	key, err := material.StaticKey("secret", o.Secret)
	if err != nil {
		return err
	}
	params := data.Params{
		Cipher: o.Cipher, Auth: o.Auth, Static: true, Framing: material.Framing(o.Framing),
		Decompress:   o.AllowCompression == "asym" || o.AllowCompression == "yes",
		ReplayWindow: o.ReplayWindow, ReplayTime: o.ReplayTime, NoReplay: o.NoReplay, TAP: a.tap(),
	}
	if params.Cipher == "" {
		params.Cipher = "BF-CBC"
	}
	suite, ok := data.Lookup(params.Cipher)
	switch {
	case !ok:
		return fmt.Errorf("Cipher %s not supported; choose one with --cipher, for example AES-256-CBC", params.Cipher) //nolint:staticcheck // stock begins its line so
	case suite.Mode != data.CBC && suite.Mode != data.Plain:
		return fmt.Errorf("static key mode (non-SSL) does not work with cipher %s; use one of the CBC mode ciphers", suite.Name)
	}
	if err := material.SetLimits(&params, p, data.Outer{IPv6: a.peer.Addr.Addr().Is6(), TCP: p.Proto.IsTCP(), SOCKS: p.SOCKSProxy != nil}); err != nil {
		return err
	}
	if a.channel, err = data.NewStatic(params, key, material.Direction(p.KeyDirection)); err != nil {
		return err
	}
	a.channel.Resume(a.c.replays.state)
	a.channelOpen()
	a.terms.Cipher = suite.Name
	a.occ = a.options()
	a.setTimers()
	if suite.Mode != data.Plain {
		for _, way := range []string{"Outgoing", "Incoming"} {
			a.c.log(logging.Detail, "%s Static Key Encryption: Cipher '%s' initialized with %d bit key", way, suite.Name, suite.KeyBits())
			if d, err := keys.ParseDigest(o.Auth); err == nil {
				a.c.log(logging.Detail, "%s Static Key Encryption: Using %d bit message hash '%s' for HMAC authentication", way, d.Size*8, d.Name)
			}
		}
	}
	a.filter = newFilter(o, a.peer.Addr.Addr(), a.loops())
	if a.c.early {
		a.publish(a.c.tunnel)
	} else {
		a.publish(nil)
	}
	return nil
}

// staticHeard is the first packet that opened under the static key: the peer is there.
func (a *attempt) staticHeard() {
	a.trustPeer()
	a.c.log(logging.Info, "Peer Connection Initiated with %s", transport.AddrText(a.peer.Addr))
	a.addressChanged()
	a.bringUp("")
}

// prefix is the peer's name in front of log lines, with a blank behind it; static-key mode has none.
func (a *attempt) prefix() string {
	if name := a.name(); name != "" {
		return "[" + name + "] "
	}
	return ""
}

func (a *attempt) tap() bool { return strings.EqualFold(string(a.opts.DevType), "tap") }
