package config

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// connection reads the body of a block into a profile that starts as a copy of the global values so far.
func (p *parser) connection(a []string) error {
	if !p.line.Inline {
		return p.unrecognized()
	}
	c := p.o.state.ce
	c.set.remotes = 0
	outer := p.line
	sub := &parser{o: p.o, c: &c, ctx: connContext, block: outer, env: p.env, fail: p.fail, skip: p.skip, seen: p.seen}
	if p.seen != nil {
		sub.fail = func(e *Error) error {
			d := sub.placed(Directive{Line: e.Line})
			e.File, e.Line = d.File, d.Line
			return p.fail(e)
		}
	}
	c.set.wrap = false // until the block names a key itself: then none of the keys outside counts for it
	c.TLSAuth, c.TLSCrypt, c.TLSCryptV2, c.TLSCryptV2ForceCookie, c.KeyDirection = Source{}, Source{}, Source{}, false, KeyBidirectional
	err := sub.read(strings.NewReader(a[0]), connOptions)
	p.line, p.noted = outer, append(p.noted, sub.noted...)
	if err != nil {
		return err
	}
	if c.set.remotes == 0 {
		return errorf("Each 'connection' block must contain exactly one 'remote' directive")
	}
	p.o.state.blocks = append(p.o.state.blocks, c)
	return nil
}

// profiles makes the final list of profiles.
func (p *parser) profiles() error {
	o := p.o
	s := &o.state
	list := s.blocks
	for i := range list {
		if c := &list[i]; !c.set.wrap {
			c.TLSAuth, c.TLSCrypt, c.TLSCryptV2, c.KeyDirection = s.ce.TLSAuth, s.ce.TLSCrypt, s.ce.TLSCryptV2, s.ce.KeyDirection
			c.TLSCryptV2ForceCookie = s.ce.TLSCryptV2ForceCookie
		}
	}
	if len(list) == 0 {
		for _, r := range s.remotes {
			c := s.ce
			c.use(r)
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		list = []Connection{s.ce}
	}
	force := o.ProtoForce.kind()
	for _, c := range list {
		if err := p.derive(&c); err != nil {
			return err
		}
		if force != "" && c.Proto.kind() != force && !(force == ProtoTCP && c.Proto.IsTCPClient()) {
			continue
		}
		o.Connections = append(o.Connections, c)
		o.Float = o.Float || c.Float
	}
	if len(o.Connections) == 0 {
		return fatalf("No usable connection profiles are present")
	}
	return nil
}

// derive fills in what depends on other values.
func (p *parser) derive(c *Connection) error {
	o := p.o
	if o.ModeServer {
		c.listen()
	} else {
		c.bindLast()
	}
	if c.Proto.kind() == ProtoTCP {
		switch {
		case o.ModeServer:
			c.Proto = c.Proto.with("server")
		case o.state.client || o.Pull:
			c.Proto = c.Proto.with("client")
		default:
			return errorf("--proto tcp is ambiguous in this context. Please specify --proto tcp-server or --proto tcp-client")
		}
	}
	if len(o.state.proxyOverride) > 0 && c.Proto.IsTCPClient() {
		a := o.state.proxyOverride
		c.HTTPProxy = &HTTPProxy{Host: a[0], Port: a[1], Version: "1.0", Auth: "none"}
		if len(a) > 2 {
			c.HTTPProxy.Auth, c.HTTPProxy.AuthFile = "basic", a[2]
		}
	}
	if c.SOCKSProxy != nil && c.Proto.IsUDP() && c.Proto.Family() != 4 {
		if c.Proto.Family() == 6 {
			p.note(logging.Info, "NOTICE: --socks-proxy with UDP works over IPv4 only")
		}
		c.Proto = ProtoUDP4
	}
	bound := c.Local != "" || c.set.lport || c.set.bind
	c.Bind = bound || !c.set.nobind && !c.Proto.IsTCPClient() && !o.Pull && !(c.SOCKSProxy != nil && c.Proto.IsUDP())

	if o.DevType == DevTap && !c.set.tunMTUExtra {
		c.TunMTUExtra = 32
	}
	if c.TunMTUMax == 0 {
		c.TunMTUMax = 1600
	}
	c.TunMTUMax = max(c.TunMTUMax, c.TunMTU)
	if !c.set.mssfix || c.set.mssfixDefault {
		c.defaultMSSFix()
	}
	if c.ExplicitExitNotify > 0 && !c.Proto.IsUDP() && !c.ServesUDP() {
		p.note(logging.Info, "NOTICE: --explicit-exit-notify ignored for --proto tcp")
		c.ExplicitExitNotify = 0
	}
	p.doubtProfile(c)
	return nil
}

// doubtProfile collects what is said of a profile at each start, once for all profiles.
func (p *parser) doubtProfile(c *Connection) {
	o := p.o
	say := func(when bool, text string) {
		if when && !slices.ContainsFunc(o.Warnings, func(n Note) bool { return n.Text == text }) {
			p.doubt("%s", text)
		}
	}
	encap := c.MSSFixEncap || !c.set.mssfix || c.set.mssfixDefault
	say(c.Fragment > 0 && c.MSSFix > 0 && encap != c.FragmentEncap,
		`WARNING: if you use --mssfix and --fragment, you should use the "mtu" flag for both or none of of them.`)
	_, err := netip.ParseAddr(c.Remote)
	say(o.RemoteRandomHostname && err == nil, "WARNING: ignoring --remote-random-hostname because the hostname is an IP address")
	say(o.TCPNoDelay && c.Proto.IsUDP(), noNoDelay)
	if o.state.fastIO && o.Compat == Compat26 {
		udp := c.Proto.IsUDP()
		say(!udp, "NOTE: --fast-io is disabled since we are not using UDP")
		say(udp && o.Shaper > 0, "NOTE: --fast-io is disabled since we are using --shaper")
	}
}

// noNoDelay says that an option of TCP has no effect on UDP, in stock's words.
const noNoDelay = "NOTE: setsockopt TCP_NODELAY=1 failed"

func (c *Connection) defaultMSSFix() {
	switch {
	case c.Fragment > 0:
		c.MSSFix, c.MSSFixEncap = c.Fragment, c.FragmentEncap
	case c.TunMTU == 1500:
		c.MSSFix, c.MSSFixEncap = 1492, true
	default:
		c.MSSFix, c.MSSFixFixed = c.TunMTU, true
	}
}

func checkBind(c *Connection) error {
	switch {
	case c.set.bind && c.set.nobind:
		return errorf("--bind and --nobind can't be used together")
	case c.Local != "" && c.set.nobind:
		return errorf("--local and --nobind don't make sense when used together")
	case c.set.lport && c.set.nobind:
		return errorf("--lport and --nobind don't make sense when used together")
	case c.Remote == "" && !c.Bind:
		return errorf("--nobind doesn't make sense unless used with --remote")
	}
	return nil
}
