package client

import (
	"cmp"
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/session"
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
	params := data.Params{Cipher: cmp.Or(o.Cipher, "BF-CBC"), Static: true}
	suite, ok := data.Lookup(params.Cipher)
	switch {
	case !ok, suite.Legacy && !o.CipherDefined && !o.LegacyCiphers:
		return fmt.Errorf("Cipher %s not supported; choose one with --cipher, for example AES-256-CBC", params.Cipher) //nolint:staticcheck // stock begins its line so
	case suite.Mode != data.CBC && suite.Mode != data.Plain:
		return fmt.Errorf("static key mode (non-SSL) does not work with cipher %s; use one of the CBC mode ciphers", suite.Name)
	}
	if err := material.Packets(&params, o, p, material.Framing(o.Framing), o.AllowCompression, a.outer(p)); err != nil {
		return err
	}
	if a.channel, err = data.NewStatic(params, key, material.Direction(p.KeyDirection)); err != nil {
		return err
	}
	a.channel.Resume(a.c.replays.state)
	a.channelOpen()
	a.terms.Cipher = suite.Name
	if suite.Mode == data.Plain {
		engine.WarnWeak(a.log, suite.Name, o.Auth, 0)
	} else {
		for _, way := range []string{"Outgoing", "Incoming"} {
			a.log(logging.Detail, "%s Static Key Encryption: Cipher '%s' initialized with %d bit key", way, suite.Name, suite.KeyBits())
			engine.WarnWeak(a.log, suite.Name, o.Auth, 0)
			if d, err := keys.ParseDigest(o.Auth); err == nil {
				a.log(logging.Detail, "%s Static Key Encryption: Using %d bit message hash '%s' for HMAC authentication", way, d.Size*8, d.Name)
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

// heardFrom is the first authenticated data of the peer, or data from another address than before, which answers go to
// from now on (float).
func (a *attempt) heardFrom(from transport.Peer) {
	if a.stop != nil {
		return
	}
	first := !a.their.heard && a.session == nil
	a.their.heard = true
	if from.Addr.IsValid() && from.Addr != a.peer.Addr && a.floats {
		a.peer = from
		if a.stage == session.Established {
			a.publish(a.c.tunnel)
		}
		if !first {
			a.log(logging.Steps, "%sPeer address changed to %s", a.their.front(), transport.AddrText(from.Addr))
			a.c.exportAddress("trusted", a.peer.Addr)
			a.c.addressChanged(&a.tasks, a.peer.Addr)
		}
	}
	if first { // a static key has no other sign of the peer
		a.log(logging.Info, "Peer Connection Initiated with %s", transport.AddrText(a.peer.Addr))
		a.c.exportAddress("trusted", a.peer.Addr)
		a.c.addressChanged(&a.tasks, a.peer.Addr)
		a.bringUp("")
	}
}
