package transport

import (
	"context"
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Family restricts addresses to one IP version.
type Family uint8

// Families; FamilyAny takes both.
const (
	FamilyAny Family = iota
	FamilyIPv4
	FamilyIPv6
)

// MTUDisc is the path MTU discovery mode of a socket (option mtu-disc).
type MTUDisc uint8

// Modes; MTUDiscDefault leaves the kernel's choice.
const (
	MTUDiscDefault MTUDisc = iota
	MTUDiscNo
	MTUDiscMaybe
	MTUDiscYes
)

// MTUDiscOf is the mode that option mtu-disc names: no, maybe or yes.
func MTUDiscOf(word string) MTUDisc {
	switch word {
	case "no":
		return MTUDiscNo
	case "maybe":
		return MTUDiscMaybe
	case "yes":
		return MTUDiscYes
	}
	return MTUDiscDefault
}

// Socket holds the socket options shared by all kinds of links. The zero value changes nothing.
type Socket struct {
	SndBuf, RcvBuf int    // bytes; 0 keeps the kernel's, but datagrams are received into 2 MB at least
	Mark           uint32 // SO_MARK; 0 = none
	BindDev        string // SO_BINDTODEVICE
	MTUDisc        MTUDisc
	NoDelay        bool // TCP_NODELAY as the user asked; Go's own default on is kept either way
	V6Only         bool // IPv6 listener without IPv4
	TOS            int  // IP_TOS / IPV6_TCLASS of the outer packets; 0 = none

	// DisableOffload turns UDP_SEGMENT and UDP_GRO off; so does the environment variable MOONGATE_DISABLE_OFFLOAD.
	DisableOffload bool

	// Log takes the few notices of a socket (buffer sizes, offload given up). nil discards.
	Log logging.Func

	reusePort bool // further links of a group
}

// Stream tunes a TCP link.
type Stream struct {
	// QueueLimit is the most packets waiting behind a blocked write (option tcp-queue-limit). 0 means 64.
	QueueLimit int
	// SendWait is how long Send may wait for room in a full queue before it drops. 0 drops at once (servers);
	// a client wants a second or so, as there the wait is the back pressure on its only peer.
	SendWait time.Duration
	// MaxFrame is the largest frame accepted, in bytes; a larger one breaks the stream. 0 means 65535.
	MaxFrame int
}

// DialConfig describes a client link.
type DialConfig struct {
	// Remote is the server's address, or with a proxy the proxy's.
	Remote netip.AddrPort
	// Local is the address to bind; a zero Addr means any, port 0 an ephemeral one (nobind).
	Local netip.AddrPort
	// Float makes a UDP socket unconnected, so that packets from any address arrive (option float).
	Float bool
	Socket
	Stream
	// HTTP or SOCKS routes the link through a proxy at Remote; Target is the server as host name or address.
	HTTP       *HTTPProxy
	SOCKS      *SOCKSProxy
	TargetHost string
	TargetPort uint16

	// Timeout bounds each TCP connection and each exchange with a proxy, not the time that a person takes to give credentials.
	// 0 waits for as long as the context lasts.
	Timeout time.Duration
	// Connecting and Connected are called before and after each TCP connection, of which a proxy may take several. nil: not.
	Connecting, Connected func()
}

// ListenConfig describes a server socket.
type ListenConfig struct {
	// Local is the address to bind. An invalid Addr means any address of Family; FamilyAny means IPv4, as stock does on
	// Linux, FamilyIPv6 a dual stack socket unless V6Only.
	Local     netip.AddrPort
	Family    Family
	Multihome Multihome
	Number    uint8 // Peer.Listener of what comes in
	Socket
	Stream
}

// Multihome says whether a UDP socket records the local address of each packet, so that answers leave from it.
type Multihome uint8

// Ways of a multihomed socket: answers leave by the interface that the routes choose, or by the one that the question came in on.
const (
	MultihomeOff Multihome = iota
	MultihomeRouted
	MultihomeSameInterface
)

// MultihomeOf is the way that option multihome asks for, with or without its flag same-interface.
func MultihomeOf(on, sameInterface bool) Multihome {
	switch {
	case sameInterface:
		return MultihomeSameInterface
	case on:
		return MultihomeRouted
	}
	return MultihomeOff
}

// HTTPAuth is the authentication method for an HTTP proxy.
type HTTPAuth string

// Methods; HTTPAuthAuto learns from the proxy's answer (auto), HTTPAuthAutoNCT does so but never sends a clear text password.
const (
	HTTPAuthNone    HTTPAuth = "none"
	HTTPAuthBasic   HTTPAuth = "basic"
	HTTPAuthDigest  HTTPAuth = "digest"
	HTTPAuthNTLM    HTTPAuth = "ntlm"
	HTTPAuthNTLM2   HTTPAuth = "ntlm2"
	HTTPAuthAuto    HTTPAuth = "auto"
	HTTPAuthAutoNCT HTTPAuth = "auto-nct"
)

// HTTPProxy describes an HTTP CONNECT proxy.
type HTTPProxy struct {
	Auth               HTTPAuth
	Username, Password string
	Version            string   // of the request line; "" means 1.0
	Agent              string   // User-Agent; "" sends none
	Headers            []string // extra "Name: value" lines
	// Credentials is asked when the proxy wants a password and Username is empty, and again with refused set when the proxy
	// did not like what it got and Auth leaves the method to us. nil fails.
	Credentials func(ctx context.Context, refused bool) (user, pass string, err error)
}

// SOCKSProxy describes a SOCKS5 proxy. With neither Username nor Credentials only "no authentication" is offered.
type SOCKSProxy struct {
	Username, Password string
	// Credentials is asked when the proxy wants a password and Username is empty.
	Credentials func(ctx context.Context) (user, pass string, err error)
}
