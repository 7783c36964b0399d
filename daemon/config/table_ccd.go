package config

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// clientFileRows are the options that are about one client of a server.
func clientFileRows() []row {
	return []row{
		{"push", 1, 1, mainCCD | forNew, 0, func(p *parser, a []string) error { return p.addPush(a[0]) }},
		{"push-reset", 0, 0, ccdOnly | forNew, 0, func(p *parser, _ []string) error {
			p.cc.Push = nil
			return nil
		}},
		{"push-remove", 1, 1, ccdOnly | forNew, 0, func(p *parser, a []string) error {
			switch a[0] {
			case "ifconfig":
				p.cc.NoPushIfconfig = true
			case "ifconfig-ipv6":
				p.cc.NoPushIfconfigIPv6 = true
			}
			p.note(logging.Steps, "PUSH_REMOVE '%s'", a[0])
			p.cc.Push = slices.DeleteFunc(slices.Clone(p.cc.Push), func(s string) bool { return strings.HasPrefix(s, a[0]) })
			return nil
		}},
		{"ifconfig-push", 2, 3, ccdOnly, 0, func(p *parser, a []string) error {
			addrs, ok := p.hosts(a...)
			if !ok {
				return errorf("cannot parse --ifconfig-push addresses")
			}
			p.cc.Ifconfig = IfconfigPush{Local: addrs[0], Remote: addrs[1]}
			if len(a) > 2 {
				p.cc.Ifconfig.Alias = addrs[2]
			}
			return nil
		}},
		{"ifconfig-ipv6-push", 1, 2, ccdOnly, 0, func(p *parser, a []string) error {
			local, ok := ipv6Bits(a[0], 64)
			if !ok {
				return errorf("cannot parse --ifconfig-ipv6-push addresses")
			}
			i := IfconfigIPv6{Local: local}
			if len(a) > 1 {
				if i.Remote, ok = ipv6(a[1]); !ok {
					return errorf("cannot parse --ifconfig-ipv6-push addresses")
				}
			}
			p.cc.IfconfigIPv6 = i
			return nil
		}},
		{"iroute", 1, 2, ccdOnly, 0, func(p *parser, a []string) error {
			mask := append(a, "255.255.255.255")[1]
			network, ok := ipv4(a[0])
			m, ok2 := ipv4(mask)
			if ok && ok2 {
				if prefix, ok := ipv4Prefix(network, m); ok {
					p.cc.Iroutes = append(p.cc.Iroutes, prefix)
					return nil
				}
			}
			return errorf("in --iroute %s %s : Bad network/subnet specification", a[0], mask)
		}},
		{"iroute-ipv6", 1, 1, ccdOnly, 0, func(p *parser, a []string) error {
			prefix, ok := ipv6Bits(a[0], 128)
			if !ok {
				return errorf("in --iroute-ipv6 %s: Bad IPv6 prefix specification", a[0])
			}
			p.cc.IroutesIPv6 = append(p.cc.IroutesIPv6, prefix.Masked())
			return nil
		}},
		{"disable", 0, 0, ccdOnly, 0, func(p *parser, _ []string) error {
			p.cc.Disable = true
			return nil
		}},
		{"override-username", 1, 1, ccdOnly, 0, func(p *parser, a []string) error {
			p.cc.OverrideUsername = a[0]
			return nil
		}},
	}
}

// ClientConfig is the configuration of one client of a server: what it inherits, changed by its file, by scripts and
// by the management port.
type ClientConfig struct {
	Timers // only the client's own count, see Timers.Over
	Compression

	Disable bool
	Push    []string // inherited texts first, unless reset or removed; changes replace the slice or append to it

	// The automatic entries of the push reply that push-remove suppressed.
	NoPushIfconfig     bool
	NoPushIfconfigIPv6 bool

	Ifconfig     IfconfigPush
	IfconfigIPv6 IfconfigIPv6 // ifconfig-ipv6-push; Remote is invalid when it was not given

	Iroutes     []netip.Prefix // host bits are zero
	IroutesIPv6 []netip.Prefix

	Cipher              string
	DataCiphers         []string
	DataCiphersFallback string
	MaxRoutesPerClient  int
	VLANPVID            int
	TCPNoDelay          bool
	AuthToken           string
	AuthTokenUser       string
	OverrideUsername    string
	Echo                []string

	// Lookup finds the IPv4 address of a name in ifconfig-push; where it is nil, a name is an error.
	Lookup func(name string) (netip.Addr, error)

	// Notes are lines for the log from ParseClientConfig. The caller empties it once they are logged.
	Notes []Note
}

// IfconfigPush is a fixed address of a client.
type IfconfigPush struct {
	Local  netip.Addr // the client's address
	Remote netip.Addr // the other end, or the netmask with tap and topology subnet
	Alias  netip.Addr // what the server uses for it; invalid when not given
}

// Set reports whether there is an address.
func (i IfconfigPush) Set() bool { return i.Local.IsValid() }

// NewClientConfig returns what every client of the server starts with.
func (o *Options) NewClientConfig() *ClientConfig {
	return &ClientConfig{
		Timers: unsaidTimers(), Compression: o.Compression,
		Push:   slices.Clip(o.Push),
		Cipher: o.Cipher, DataCiphers: o.DataCiphers, DataCiphersFallback: o.DataCiphersFallback,
		MaxRoutesPerClient: o.MaxRoutesPerClient, VLANPVID: o.VLANPVID, TCPNoDelay: o.TCPNoDelay,
	}
}

// ParseClientConfig applies text, the content of a client's file or what a script or the management port delivered,
// to c. path is the name for messages. Lines that are wrong or not allowed are skipped; the errors tell which.
// What else is to be said goes to c.Notes.
func (o *Options) ParseClientConfig(c *ClientConfig, path string, text []byte) []*Error {
	var errs []*Error
	// A copy of the server's options collects what clients' files and the main configuration have in common.
	own := *o
	own.Notes = nil
	own.Timers, own.Compression = c.Timers, c.Compression
	own.Cipher, own.DataCiphers, own.DataCiphersFallback = c.Cipher, c.DataCiphers, c.DataCiphersFallback
	own.MaxRoutesPerClient, own.VLANPVID, own.TCPNoDelay = c.MaxRoutesPerClient, c.VLANPVID, c.TCPNoDelay
	own.AuthToken, own.AuthTokenUser = c.AuthToken, c.AuthTokenUser
	own.state.ignoreUnknown = slices.Clip(own.state.ignoreUnknown)
	p := &parser{o: &own, c: new(Connection), cc: c, ctx: ccdContext}
	p.fail = func(e *Error) error {
		errs = append(errs, e)
		return nil
	}
	if err := p.read(strings.NewReader(string(text)), path); err != nil {
		errs = append(errs, &Error{File: path, Text: err.Error()})
	}
	c.Timers, c.Compression = own.Timers, own.Compression
	c.Cipher, c.DataCiphers, c.DataCiphersFallback = own.Cipher, own.DataCiphers, own.DataCiphersFallback
	c.MaxRoutesPerClient, c.VLANPVID, c.TCPNoDelay = own.MaxRoutesPerClient, own.VLANPVID, own.TCPNoDelay
	c.AuthToken, c.AuthTokenUser = own.AuthToken, own.AuthTokenUser
	c.Notes = append(c.Notes, own.Notes...)
	return errs
}
