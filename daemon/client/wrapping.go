package client

import (
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// wrapping protects the control packets of an attempt.
type wrapping struct {
	wrap   ctrlwrap.Wrapper
	static *keys.StaticKey // base of dynamic tls-crypt, nil without a key
	reset  wire.Opcode
}

func loadWrapping(o *config.Options, prof *config.Connection) (wrapping, error) {
	w := wrapping{wrap: ctrlwrap.NewPlain(), reset: wire.OpControlHardResetClientV2}
	role := role(o)
	switch {
	case prof.TLSCryptV2.Set():
		b, err := prof.TLSCryptV2.Load()
		if err != nil {
			return w, err
		}
		ck, err := keys.ParseClientKey(b)
		if err != nil {
			return w, fmt.Errorf("tls-crypt-v2 %s: %w", prof.TLSCryptV2, err)
		}
		w.wrap, w.static, w.reset = ctrlwrap.NewTLSCryptV2Client(&ck.Key, ck.WKc), &ck.Key, wire.OpControlHardResetClientV3
	case prof.TLSCrypt.Set(), prof.TLSAuth.Set():
		option, src := "tls-crypt", prof.TLSCrypt
		if !src.Set() {
			option, src = "tls-auth", prof.TLSAuth
		}
		key, err := material.StaticKey(option, src)
		if err != nil {
			return w, err
		}
		w.static = key
		if prof.TLSCrypt.Set() {
			w.wrap = ctrlwrap.NewTLSCrypt(key, role)
			break
		}
		digest, err := keys.ParseDigest(o.Auth)
		if err != nil {
			return w, err
		}
		w.wrap = ctrlwrap.NewTLSAuth(key, material.Direction(prof.KeyDirection), digest)
	}
	return w, nil
}

func role(o *config.Options) keys.Role {
	if o.TLSServer {
		return keys.Server
	}
	return keys.Client
}
