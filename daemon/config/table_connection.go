package config

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// connRule marks options of a profile.
const connRule = inMain | inConn

// connectionRows are the options about the outer connection, those of a profile first.
func connectionRows() []row {
	return []row{
		{"remote", 1, 3, connRule, 0, (*parser).remote},
		{"connection", 1, 1, inMain | inline, 0, (*parser).connection},
		{"proto", 1, 1, connRule, 0, func(p *parser, a []string) error {
			proto, ok := parseProto(a[0])
			if !ok {
				return errorf("Bad protocol: '%s'. Allowed protocols with --proto option:%s", a[0], protoList())
			}
			p.c.Proto = proto
			return nil
		}},
		{"local", 1, 3, connRule, 0, (*parser).local},
		{"port", 1, 1, connRule, 0, func(p *parser, a []string) error {
			p.c.LocalPort, p.c.RemotePort = a[0], a[0]
			return nil
		}},
		{"lport", 1, 1, connRule, 0, func(p *parser, a []string) error {
			p.c.LocalPort, p.c.set.lport = a[0], true
			return nil
		}},
		{"rport", 1, 1, connRule, 0, func(p *parser, a []string) error {
			p.c.RemotePort = a[0]
			return nil
		}},
		{"bind", 0, 1, connRule, 0, func(p *parser, a []string) error {
			p.c.set.bind = true
			if len(a) > 0 {
				p.c.BindIPv6Only = a[0] == "ipv6only"
			}
			return nil
		}},
		{"nobind", 0, 0, connRule, 0, connFlag(func(c *Connection) *bool { return &c.set.nobind })},
		{"float", 0, 0, connRule, 0, connFlag(func(c *Connection) *bool { return &c.Float })},
		{"connect-retry", 1, 2, connRule, 0, func(p *parser, a []string) (err error) {
			if p.c.ConnectRetry, err = duration(p, "connect-retry", a[0]); err != nil {
				return err
			}
			p.c.ConnectRetry = max(p.c.ConnectRetry, time.Second)
			if len(a) > 1 {
				p.c.ConnectRetryMax, err = duration(p, "connect-retry", a[1])
				p.c.ConnectRetryMax = max(p.c.ConnectRetryMax, p.c.ConnectRetry)
			}
			return err
		}},
		{"connect-retry-max", 1, 1, connRule, 0, number(0, maxSeconds, func(o *Options) *int { return &o.ConnectRetryMax })},
		{"connect-timeout", 1, 1, connRule, 0, connSeconds(func(c *Connection) *time.Duration { return &c.ConnectTimeout })},
		{"server-poll-timeout", 1, 1, connRule, 0, connSeconds(func(c *Connection) *time.Duration { return &c.ConnectTimeout })},
		{"explicit-exit-notify", 0, 1, connRule | inPush | atOnce, classExitNotify, func(p *parser, a []string) (err error) {
			p.c.ExplicitExitNotify = 1
			if len(a) > 0 {
				p.c.ExplicitExitNotify, err = integer(p, "explicit-exit-notify", a[0], 0, maxSeconds)
			}
			return err
		}},

		{"tun-mtu", 1, 2, connRule | inPush | inUpdate, classTunMTU, (*parser).tunMTU},
		{"tun-mtu-max", 1, 2, connRule, 0, func(p *parser, a []string) error {
			n, err := integer(p, "tun-mtu-max", a[0], 0, maxMTU)
			if err == nil && n < minMTU {
				return errorf("--tun-mtu-max value '%s' is invalid", a[0])
			}
			p.c.TunMTUMax = n
			return err
		}},
		{"tun-mtu-extra", 1, 1, connRule, 0, func(p *parser, a []string) (err error) {
			p.c.set.tunMTUExtra = true
			p.c.TunMTUExtra, err = integer(p, "tun-mtu-extra", a[0], 0, maxMTU)
			return err
		}},
		{"link-mtu", 1, 1, connRule, 0, connNumber(0, maxMTU, func(c *Connection) *int { return &c.LinkMTU })},
		{"udp-mtu", 1, 1, connRule, 0, connNumber(0, maxMTU, func(c *Connection) *int { return &c.LinkMTU })},
		{"fragment", 1, 2, connRule, 0, (*parser).fragment},
		{"mssfix", 0, 2, connRule | forNew, 0, (*parser).mssfix},
		{"mtu-test", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.MTUTest })},
		{"mtu-disc", 1, 1, connRule, 0, func(p *parser, a []string) error {
			if a[0] != "yes" && a[0] != "maybe" && a[0] != "no" {
				return fatalf("invalid --mtu-disc type: '%s' -- valid types are 'yes', 'maybe', or 'no'", a[0])
			}
			p.c.MTUDisc = a[0]
			return nil
		}},
		{"max-packet-size", 1, 1, connRule, 0, func(p *parser, a []string) error {
			n, err := integer(p, "max-packet-size", a[0], 0, maxSeconds)
			if err != nil {
				return err
			}
			p.c.MaxPacketSize = min(max(n, 154), 2048)
			if n != p.c.MaxPacketSize {
				p.note(logging.Info, "Note: max-packet-size value outside of allowed control channel packet size (154 to 2048), will use %d instead.", p.c.MaxPacketSize)
			}
			return nil
		}},

		{"remote-random", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.RemoteRandom })},
		{"remote-random-hostname", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.RemoteRandomHostname })},
		{"resolv-retry", 1, 1, inMain, 0, func(p *parser, a []string) (err error) {
			if a[0] == "infinite" {
				p.o.ResolvRetry = resolvInfinite
				return nil
			}
			p.o.ResolvRetry, err = duration(p, "resolv-retry", a[0])
			return err
		}},
		{"preresolve", 0, 1, inMain, 0, flag(func(o *Options) *bool { return &o.Preresolve })},
		{"ip-remote-hint", 0, 1, inMain, 0, func(p *parser, a []string) error {
			if len(a) > 0 {
				p.o.IPRemoteHint = a[0]
			}
			return nil
		}},
		{"proto-force", 1, 1, inMain, 0, func(p *parser, a []string) error {
			proto, ok := parseProto(a[0])
			if !ok {
				return errorf("Bad --proto-force protocol: '%s'", a[0])
			}
			p.o.ProtoForce = proto
			return nil
		}},
		{"sndbuf", 1, 1, mainPush, classSockBuf, number(0, maxSeconds, func(o *Options) *int { return &o.SndBuf })},
		{"rcvbuf", 1, 1, mainPush, classSockBuf, number(0, maxSeconds, func(o *Options) *int { return &o.RcvBuf })},
		{"mark", 1, 1, inMain, 0, func(p *parser, a []string) (err error) {
			p.o.MarkDefined = true
			p.o.Mark, err = integer[int64](p, "mark", a[0], 0, 1<<32-1)
			return err
		}},
		{"bind-dev", 1, many, mainAll, classSockFlags, text(func(o *Options) *string { return &o.BindDev })},
		{"socket-flags", 0, many, mainAll, classSockFlags, func(p *parser, a []string) error {
			for _, f := range a {
				if f != "TCP_NODELAY" {
					return errorf("unknown socket flag: %s", f)
				}
				p.o.TCPNoDelay = true
			}
			return nil
		}},
		{"tcp-nodelay", 0, 0, inMain, 0, func(p *parser, _ []string) error {
			p.o.state.tcpNodelay = true
			return nil
		}},
		{"multihome", 0, 1, inMain, 0, func(p *parser, a []string) error {
			p.o.Multihome = true
			if len(a) > 0 {
				if a[0] != "same-interface" {
					return errorf("Unknown parameter to --multihome: %s", a[0])
				}
				p.o.MultihomeSameInterface = true
			}
			return nil
		}},
	}
}

// Bounds of MTU options, bytes.
const (
	minMTU = 68
	maxMTU = 65536
)

func parseProto(s string) (Proto, bool) {
	for _, p := range protos {
		if string(p) == s {
			return p, true
		}
	}
	return "", false
}

// protoList is the list of the error message.
func protoList() string {
	s := " [proto-uninitialized]"
	for _, p := range protos {
		s += " [" + string(p) + "]"
	}
	return s
}

// remote is one server: host, port, protocol.
type remote struct {
	host, port string
	proto      Proto
}

func (p *parser) remote(a []string) error {
	r := remote{host: a[0]}
	if len(a) > 1 {
		r.port = a[1]
	}
	if len(a) > 2 {
		var ok bool
		if r.proto, ok = parseProto(a[2]); !ok {
			return errorf("remote: bad protocol associated with host %s: '%s'", r.host, a[2])
		}
	}
	if p.ctx == connContext {
		p.c.set.remotes++
		p.c.use(r)
	} else {
		p.o.state.remotes = append(p.o.state.remotes, r)
	}
	return nil
}

func (c *Connection) use(r remote) {
	c.Remote = r.host
	if r.port != "" {
		c.RemotePort = r.port
	}
	if r.proto != "" {
		c.Proto = r.proto
	}
}

func (p *parser) tunMTU(a []string) error {
	n, err := integer(p, "tun-mtu", a[0], minMTU, maxMTU)
	if err != nil {
		return err
	}
	if p.ctx == pushContext {
		p.o.TunMTUPushed = true
	}
	p.c.TunMTU, p.c.TunMTUDefined = n, true
	if len(a) > 1 {
		p.c.OCCMTU, err = integer(p, "tun-mtu", a[1], 0, maxMTU)
	}
	return err
}

func (p *parser) fragment(a []string) error {
	n, err := integer(p, "fragment", a[0], 0, maxMTU)
	switch {
	case err != nil:
		return err
	case n < 68:
		return errorf("--fragment needs to be at least 68")
	case len(a) > 1 && a[1] != "mtu":
		return errorf("Unknown parameter to --fragment: %s", a[1])
	}
	p.c.Fragment, p.c.FragmentEncap = n, len(a) > 1
	return nil
}

func (p *parser) mssfix(a []string) error {
	c := p.c
	c.MSSFix, c.MSSFixEncap, c.MSSFixFixed = 0, false, false
	c.set.mssfix, c.set.mssfixDefault = true, len(a) == 0
	if len(a) > 0 {
		var err error
		if c.MSSFix, err = integer(p, "mssfix", a[0], 0, maxMTU); err != nil {
			return err
		}
	}
	if len(a) > 1 {
		switch a[1] {
		case "mtu":
			c.MSSFixEncap = true
		case "fixed":
			c.MSSFixFixed = true
		default:
			return errorf("Unknown parameter to --mssfix: %s", a[1])
		}
	}
	return nil
}
