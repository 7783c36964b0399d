package engine

import (
	"errors"
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Wrapping is how control packets are protected.
type Wrapping uint8

// Wrappings.
const (
	Unwrapped Wrapping = iota
	TLSAuth
	TLSCrypt // of either version
)

// UnwrapLines are the lines of the log about a control packet that did not unwrap, or that its session refused. from is the
// peer's address with its family.
func UnwrapLines(err error, w Wrapping, from string) []string {
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(wire.ErrNoSession):
		return []string{"TLS Error: session-id not found in packet from " + from}
	case is(ctrlwrap.ErrNoWKc):
		return []string{"TLS Error: could not determine wrapping from " + from}
	case is(ctrlwrap.ErrWKc):
		return []string{"TLS Error: can not extract tls-crypt-v2 client key from " + from}
	case w == TLSAuth && is(ctrlwrap.ErrShort):
		return []string{"TLS Error: cannot locate HMAC in incoming packet from " + from}
	case w == TLSAuth && is(ctrlwrap.ErrAuth):
		return authLines("packet HMAC authentication failed", from)
	case w == TLSAuth && is(ctrlwrap.ErrReplay):
		return authLines(err.Error(), from)
	case w == TLSCrypt && (is(ctrlwrap.ErrAuth) || is(ctrlwrap.ErrReplay) || is(ctrlwrap.ErrShort) || is(ctrlwrap.ErrSize)):
		return []string{fmt.Sprintf("tls-crypt unwrap error: %v", err), "TLS Error: tls-crypt unwrapping failed from " + from}
	}
	return []string{fmt.Sprintf("TLS Error: %v from %s", err, from)}
}

func authLines(why, from string) []string {
	return []string{"Authenticate/Decrypt packet error: " + why, "TLS Error: incoming packet authentication failed from " + from}
}
