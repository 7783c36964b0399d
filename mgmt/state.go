package mgmt

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// State names. Those marked client never appear on a server.
const (
	StateConnecting   = "CONNECTING"   // once per process
	StateResolve      = "RESOLVE"      // client; names only
	StateTCPConnect   = "TCP_CONNECT"  // client
	StateWait         = "WAIT"         // client; first packet about to be sent
	StateAuth         = "AUTH"         // client; first packet from the server
	StateGetConfig    = "GET_CONFIG"   // client; push request sent
	StateAuthPending  = "AUTH_PENDING" // client; detail "timeout N" or empty
	StateAssignIP     = "ASSIGN_IP"    // tunnel addresses
	StateAddRoutes    = "ADD_ROUTES"   // only with at least one IPv4 route
	StateConnected    = "CONNECTED"    // detail SUCCESS, ERROR or ROUTE_ERROR
	StateReconnecting = "RECONNECTING" // detail is the reason
	StateExiting      = "EXITING"      // detail is the reason
)

// StateNames lists the states in the order a connection passes them.
func StateNames() []string {
	return []string{
		StateConnecting, StateResolve, StateTCPConnect, StateWait, StateAuth, StateGetConfig, StateAuthPending,
		StateAssignIP, StateAddRoutes, StateConnected, StateReconnecting, StateExiting,
	}
}

// Details of CONNECTED.
const (
	DetailSuccess    = "SUCCESS"
	DetailError      = "ERROR"
	DetailRouteError = "ROUTE_ERROR"
)

// State is an entry of the state history.
//
//	time,NAME,detail,tun IPv4,remote address,remote port,local address,local port[,tun IPv6]
//
// The zero Time is filled in by the server.
type State struct {
	Time    time.Time
	Name    string
	Detail  string
	TunIPv4 netip.Addr     // invalid: empty field
	Remote  netip.AddrPort // invalid: two empty fields
	Local   netip.AddrPort
	TunIPv6 netip.Addr // invalid: no eighth comma
}

// Append adds the line without a terminator. There are always seven commas, and an eighth with an IPv6 address.
func (s State) Append(b []byte) []byte {
	b = strconv.AppendInt(b, s.Time.Unix(), 10)
	b = append(append(b, ','), s.Name...)
	b = append(b, ',')
	b = AppendText(b, s.Detail)
	b = append(b, ',')
	if s.TunIPv4.IsValid() {
		b = s.TunIPv4.AppendTo(b)
	}
	for _, a := range [...]netip.AddrPort{s.Remote, s.Local} {
		b = append(b, ',')
		if a.IsValid() {
			b = a.Addr().Unmap().WithZone("").AppendTo(b)
			b = strconv.AppendUint(append(b, ','), uint64(a.Port()), 10)
		} else {
			b = append(b, ',')
		}
	}
	if s.TunIPv6.IsValid() {
		b = s.TunIPv6.WithZone("").AppendTo(append(b, ','))
	}
	return b
}

// String is the line of Append.
func (s State) String() string { return string(s.Append(nil)) }

// ParseState reads a line of the state history, or what follows ">STATE:". Daemons before 2.4 send fewer fields. The error
// is ErrFields for less than a time and a name, or about the field that is wrong.
func ParseState(line string) (State, error) {
	f := strings.Split(line, ",")
	if len(f) < 2 {
		return State{}, fmt.Errorf("state line %q: %w", line, ErrFields)
	}
	t, err := parseTime(f[0])
	if err != nil {
		return State{}, fmt.Errorf("state line %q: %w", line, err)
	}
	f = append(f, make([]string, 9)...)
	s := State{Time: t, Name: f[1], Detail: f[2]}
	if s.TunIPv4, err = parseAddr(f[3]); err == nil {
		if s.Remote, err = parseAddrPort(f[4], f[5]); err == nil {
			if s.Local, err = parseAddrPort(f[6], f[7]); err == nil {
				s.TunIPv6, err = parseAddr(f[8])
			}
		}
	}
	if err != nil {
		return State{}, fmt.Errorf("state line %q: %w", line, err)
	}
	return s, nil
}

func parseAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(s)
}

func parseAddrPort(host, port string) (netip.AddrPort, error) {
	a, err := parseAddr(host)
	if err != nil || !a.IsValid() {
		return netip.AddrPort{}, err
	}
	var p uint64
	if port != "" {
		if p, err = strconv.ParseUint(port, 10, 16); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(a, uint16(p)), nil
}
