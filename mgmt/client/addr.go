package client

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Addr is a parsed management address.
type Addr struct {
	Network string // "tcp" or "unix"
	Address string // for net.Dial
	TLS     bool
	Use     string // which daemon of a mux, "" for its only one
	text    string
}

// ParseAddr reads the forms people write:
//
//	HOST:PORT  [IPV6]:PORT  tls://HOST:PORT  unix:/PATH  unix:///PATH  /PATH  ./PATH  DIR/PATH
//
// Each may end in #NAME, which chooses a daemon where a mux offers several. PORT is a number from 1 to 65535. An address that ParseAddr refuses can never work, so no dial error hides a mistyped one.
func ParseAddr(s string) (Addr, error) {
	a := Addr{text: s}
	s, a.Use, _ = strings.Cut(s, "#")
	switch {
	case strings.Contains(s, "/") && !strings.Contains(s, "://") && !strings.HasPrefix(s, "unix:"):
		a.Network, a.Address = "unix", s
	case strings.HasPrefix(s, "unix:"):
		a.Network, a.Address = "unix", strings.TrimPrefix(s, "unix:")
		if rest, ok := strings.CutPrefix(a.Address, "//"); ok {
			a.Address = rest
		}
	default:
		a.Network, a.Address = "tcp", s
		if rest, ok := strings.CutPrefix(s, "tls://"); ok {
			a.Address, a.TLS = rest, true
		}
		host, port, err := net.SplitHostPort(a.Address)
		if err != nil || port == "" || strings.Contains(host, "/") {
			return Addr{}, fmt.Errorf("address %q: want HOST:PORT, [IPV6]:PORT, tls://HOST:PORT, unix:/PATH or a path", s)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return Addr{}, fmt.Errorf("address %q: the port must be a number from 1 to 65535", s)
		}
		if host == "" {
			a.Address = net.JoinHostPort("127.0.0.1", port)
		}
	}
	if a.Address == "" {
		return Addr{}, fmt.Errorf("address %q: the path is missing", s)
	}
	return a, nil
}

// String is the address as it was written.
func (a Addr) String() string { return a.text }

// Host is the name a TLS certificate must carry.
func (a Addr) Host() string {
	host, _, err := net.SplitHostPort(a.Address)
	if err != nil {
		return ""
	}
	return host
}
