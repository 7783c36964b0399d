package plugin

import (
	"math/bits"
	"strings"
)

// Event is one kind of event, as one bit of a mask; also a mask of several. The zero Event is none.
type Event uint32

// The events. Bit 11 is not in use.
const (
	Up Event = 1 << iota
	Down
	RouteUp
	IPChange
	TLSVerify
	AuthUserPassVerify
	ClientConnect
	ClientDisconnect
	LearnAddress
	ClientConnectV2
	TLSFinal
	_
	RoutePreDown
	ClientConnectDefer
	ClientConnectDeferV2
	ClientCRResponse
)

// All holds the events that a plugin is offered.
const All = (ClientCRResponse<<1 - 1) &^ (1 << 11)

// mayDefer are the events whose answer a plugin may put off. At any other, putting it off is a refusal, as with stock.
const mayDefer = AuthUserPassVerify | ClientConnect | ClientConnectV2 | ClientConnectDefer | ClientConnectDeferV2

var names = [...]string{
	"UP", "DOWN", "ROUTE_UP", "IPCHANGE", "TLS_VERIFY", "AUTH_USER_PASS_VERIFY", "CLIENT_CONNECT", "CLIENT_DISCONNECT", "LEARN_ADDRESS",
	"CLIENT_CONNECT_V2", "TLS_FINAL", "", "ROUTE_PREDOWN", "CLIENT_CONNECT_DEFER", "CLIENT_CONNECT_DEFER_V2", "CRRESPONSE",
}

// number is the event on the wire, its bit.
func (e Event) number() uint32 { return uint32(bits.TrailingZeros32(uint32(e))) }

// String is the event as log lines name it, several joined by bars.
func (e Event) String() string {
	var list []string
	for n, name := range names {
		if e&(1<<n) != 0 && name != "" {
			list = append(list, "PLUGIN_"+name)
		}
	}
	return strings.Join(list, "|")
}
