package config

import "net"

// deviceRows are the options about the tunnel device and its addresses.
func deviceRows() []row {
	return []row{
		{"dev", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.Dev })},
		{"dev-type", 1, 1, inMain, 0, func(p *parser, a []string) error {
			p.o.DevType = DevType(a[0])
			return nil
		}},
		{"dev-node", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.DevNode })},
		{"lladdr", 1, 1, mainPush, classIfconfig, func(p *parser, a []string) error {
			if m, err := net.ParseMAC(a[0]); err != nil || len(m) != 6 {
				return errorf("lladdr parm '%s' must be a MAC address", a[0])
			}
			p.o.LLAddr = a[0]
			return nil
		}},
		{"topology", 1, 1, mainPush | inUpdate, classIfconfig, func(p *parser, a []string) error {
			switch t := Topology(a[0]); t {
			case TopologyNet30, TopologyP2P, TopologySubnet:
				p.o.Topology = t
				return nil
			default:
				return errorf("--topology must be net30, p2p, or subnet")
			}
		}},
		{"ifconfig", 2, 2, mainPush | inUpdate, classIfconfig, (*parser).ifconfig},
		{"ifconfig-ipv6", 2, 2, mainPush | inUpdate, classIfconfig, func(p *parser, a []string) error {
			local, ok := ipv6Bits(a[0], 64)
			remote, ok2 := ipv6(a[1])
			switch {
			case !ok || !ok2 || local.Addr().Is4In6(): // no device takes a mapped address for one of IPv6
				return errorf("ifconfig-ipv6 parms '%s' and '%s' must be valid addresses", a[0], a[1])
			case local.Bits() < 64 || local.Bits() > 124:
				return errorf("ifconfig-ipv6: /netbits must be between 64 and 124, not '/%d'", local.Bits())
			}
			p.o.IfconfigIPv6 = IfconfigIPv6{local, remote}
			return nil
		}},
		{"ifconfig-noexec", 0, 0, mainPush, classIfconfig, flag(func(o *Options) *bool { return &o.IfconfigNoexec })},
		{"ifconfig-nowarn", 0, 0, mainPush, classIfconfig, flag(func(o *Options) *bool { return &o.IfconfigNowarn })},
		{"txqueuelen", 1, 1, inMain, 0, number(0, maxSeconds, func(o *Options) *int { return &o.TxQueueLen })},
		{"shaper", 1, 1, mainPush, classShaper, func(p *parser, a []string) error {
			n, err := integer(p, "shaper", a[0], 0, maxSeconds)
			if err == nil && (n < 100 || n > 100000000) {
				return errorf("Bad shaper value, must be between 100 and 100000000")
			}
			p.o.Shaper = n
			return err
		}},
		{"block-ipv6", 0, 0, inMain | inRoutes | inUpdate, classRoutes, flag(func(o *Options) *bool { return &o.BlockIPv6 })},
		{"client-nat", 4, 4, inMain | inRoutes, classRoutes, (*parser).clientNAT},
		{"passtos", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.PassTOS })},
		{"allow-recursive-routing", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.AllowRecursiveRouting })},
		{"compat", 1, 1, inMain, 0, func(p *parser, a []string) error {
			switch a[0] {
			case "2.6":
				p.o.Compat = Compat26
			case "2.7":
				p.o.Compat = Compat27
			default:
				return errorf("--compat must be 2.6 or 2.7, not '%s'", a[0])
			}
			return nil
		}},
		{"disable-offload", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.DisableOffload })},
	}
}

func (p *parser) ifconfig(a []string) error {
	if !p.addressOrName(a[0]) || !p.addressOrName(a[1]) {
		return errorf("ifconfig parms '%s' and '%s' must be valid addresses", a[0], a[1])
	}
	var i Ifconfig
	var ok bool
	if i.Local, ok = ipv4(a[0]); !ok {
		i.LocalName = a[0]
	}
	if i.Remote, ok = ipv4(a[1]); !ok {
		i.RemoteName = a[1]
	}
	p.o.Ifconfig = i
	return nil
}

// maxClientNAT bounds the entries, each of which costs a comparison per packet.
const maxClientNAT = 64

func (p *parser) clientNAT(a []string) error {
	if a[0] != "snat" && a[0] != "dnat" {
		return errorf("client-nat: type must be 'snat' or 'dnat'")
	}
	addrs, ok := p.quads(a[1:]...)
	if !ok {
		return errorf("client-nat: bad network, netmask or alias: %s %s %s", a[1], a[2], a[3])
	}
	if len(p.o.ClientNAT) >= maxClientNAT {
		p.warn("WARNING: client-nat table overflow (max %d entries)", maxClientNAT)
		return nil
	}
	p.o.ClientNAT = append(p.o.ClientNAT, ClientNAT{a[0] == "snat", addrs[0], addrs[1], addrs[2]})
	return nil
}
