package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// serverOption makes an apply function that remembers that an option needs server mode.
func serverOption(shown string, apply func(*parser, []string) error) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		p.o.state.serverOnly(shown)
		return apply(p, a)
	}
}

// serverRows are the options of servers and of their clients' files.
func serverRows() []row {
	return append([]row{
		{"mode", 1, 1, inMain, 0, func(p *parser, a []string) error {
			if a[0] != "p2p" && a[0] != "server" {
				return errorf("Bad --mode parameter: %s", a[0])
			}
			p.o.ModeServer = a[0] == "server"
			return nil
		}},
		{"server", 2, 3, inMain, 0, (*parser).server},
		{"server-ipv6", 1, 1, inMain, 0, func(p *parser, a []string) (err error) {
			p.o.state.serverIPv6, err = serverPrefix("server-ipv6", a[0])
			return err
		}},
		{"server-bridge", 0, 4, inMain, 0, (*parser).serverBridge},
		{"ifconfig-pool", 2, 3, inMain, 0, (*parser).ifconfigPool},
		{"ifconfig-ipv6-pool", 1, 1, inMain, 0, func(p *parser, a []string) (err error) {
			p.o.IfconfigIPv6Pool.Local, err = serverPrefix("ifconfig-ipv6-pool", a[0])
			return err
		}},
		{"ifconfig-pool-persist", 1, 2, inMain, 0, func(p *parser, a []string) (err error) {
			p.o.PoolPersist = a[0]
			if len(a) > 1 {
				p.o.PoolPersistInterval, err = duration(p, "ifconfig-pool-persist", a[1])
			}
			return err
		}},
		{"ifconfig-push-constraint", 2, 2, inMain | forNew, 0, func(p *parser, a []string) error {
			addrs, ok := p.quads(a...)
			if !ok {
				return errorf("cannot parse --ifconfig-push-constraint addresses")
			}
			p.o.PushConstraint = IfconfigConstraint{addrs[0], addrs[1]}
			return nil
		}},
		{"client-config-dir", 1, 1, inMain | forNew, 0, serverOption("--client-config-dir/--ccd-exclusive",
			text(func(o *Options) *string { return &o.ClientConfigDir }))},
		{"ccd-exclusive", 0, 0, inMain | forNew, 0, serverOption("--client-config-dir/--ccd-exclusive",
			flag(func(o *Options) *bool { return &o.CCDExclusive }))},
		{"client-to-client", 0, 0, inMain, 0, serverOption("--client-to-client", flag(func(o *Options) *bool { return &o.ClientToClient }))},
		{"duplicate-cn", 0, 0, inMain, 0, serverOption("--duplicate-cn", flag(func(o *Options) *bool { return &o.DuplicateCN }))},
		{"max-clients", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) error {
			n, err := integer(p, "max-clients", a[0], 0, maxSeconds)
			if err == nil && n >= 1<<24-1 {
				return errorf("--max-clients must be less than 16777215")
			}
			p.o.MaxClients = n
			return err
		}},
		{"max-routes-per-client", 1, 1, mainCCD | forNew, 0, func(p *parser, a []string) error {
			n, err := integer(p, "max-routes-per-client", a[0], 0, maxSeconds)
			p.o.MaxRoutesPerClient = max(n, 1)
			return err
		}},
		{"stale-routes-check", 1, 2, inMain | atOnce, 0, serverOption("--stale-routes-check", func(p *parser, a []string) error {
			age, err := duration(p, "stale-routes-check", a[0])
			interval := age
			if err == nil && len(a) > 1 {
				interval, err = duration(p, "stale-routes-check", a[1])
			}
			if err == nil && (age == 0 || interval == 0) {
				return errorf("--stale-routes-check aging time and check interval must be >= 1")
			}
			p.o.StaleRoutesAge, p.o.StaleRoutesInterval = age, interval
			return err
		})},
		{"tcp-queue-limit", 1, 1, inMain, 0, func(p *parser, a []string) error {
			n, err := integer(p, "tcp-queue-limit", a[0], 0, maxSeconds)
			if err == nil && n < 1 {
				return errorf("--tcp-queue-limit parameter must be > 0")
			}
			p.o.TCPQueueLimit = n
			return err
		}},
		{"connect-freq", 2, 2, inMain | atOnce, 0, serverOption("--connect-freq", func(p *parser, a []string) (err error) {
			p.o.ConnectFreq, err = rate(p, "connect-freq", a)
			return err
		})},
		{"connect-freq-initial", 2, 2, inMain, 0, func(p *parser, a []string) error {
			r, err := rate(p, "connect-freq-initial", a)
			if err != nil || !isNumber(a[0]) || !isNumber(a[1]) {
				return errorf("--connect-freq-initial parameters must be integers and >= 0")
			}
			for i, what := range []string{"n", "seconds"} {
				if strings.Trim(a[i], "0") == "" { // 2.6 takes it, and lets no client in
					return errorf("connect-freq-initial %s: Must be an integer >= 1, not 0", what)
				}
			}
			p.o.ConnectFreqInitial = r
			return nil
		}},
		{"port-share", 2, 3, inMain, 0, func(p *parser, a []string) error {
			p.o.PortShare = PortShare{Host: a[0], Port: a[1]}
			if len(a) > 2 {
				p.o.PortShare.Dir = a[2]
			}
			return nil
		}},
		{"auth-gen-token", 0, many, inMain, 0, serverOption("--auth-gen-token", (*parser).authGenToken)},
		{"auth-gen-token-secret", 1, 1, inMain | inline | atOnce, 0, source(func(o *Options) *Source { return &o.AuthTokenSecret })},
		{"auth-user-pass-optional", 0, 0, inMain | atOnce, 0, serverOption("--auth-user-pass-optional",
			flag(func(o *Options) *bool { return &o.AuthUserPassOptional }))},
		{"username-as-common-name", 0, 0, inMain | forNew, 0, serverOption("--username-as-common-name",
			flag(func(o *Options) *bool { return &o.UsernameAsCommonName }))},
		{"verify-client-cert", 0, 1, inMain | atOnce, 0, serverOption("--verify-client-cert", func(p *parser, a []string) error {
			v := append(a, "require")[0]
			if v != "none" && v != "optional" && v != "require" {
				return errorf("parameter to --verify-client-cert must be 'none', 'optional' or 'require'")
			}
			p.o.VerifyClientCert = v
			return nil
		})},
		{"opt-verify", 0, 0, inMain | atOnce, 0, serverOption("--opt-verify", func(p *parser, _ []string) error {
			p.o.OptVerify = true
			p.note(logging.Info, "DEPRECATION: opt-verify is deprecated and will be removed in OpenVPN 2.7")
			return nil
		})},
		{"force-tls-key-material-export", 0, many, inMain | forNew, 0, serverOption("--force-tls-key-material-export",
			flag(func(o *Options) *bool { return &o.ForceTLSKeyMaterialExport }))},
		{"vlan-tagging", 0, 0, inMain, 0, serverOption("--vlan-tagging", flag(func(o *Options) *bool { return &o.VLANTagging }))},
		{"vlan-accept", 1, 1, inMain, 0, func(p *parser, a []string) error {
			if a[0] != "tagged" && a[0] != "untagged" && a[0] != "all" {
				return errorf("--vlan-accept must be 'tagged', 'untagged' or 'all'")
			}
			p.o.VLANAccept, p.o.state.vlanAccept = a[0], true
			return nil
		}},
		{"vlan-pvid", 1, 1, mainCCD, 0, func(p *parser, a []string) error {
			n, err := integer(p, "vlan-pvid", a[0], 0, maxSeconds)
			if err == nil && (n < 1 || n > 4094) {
				return errorf("the parameter of --vlan-pvid parameters must be >= 1 and <= 4094")
			}
			p.o.VLANPVID, p.o.state.vlanPVID = n, true
			return err
		}},
	}, clientFileRows()...)
}

func rate(p *parser, name string, a []string) (Rate, error) {
	n, err := integer(p, name, a[0], 0, maxSeconds)
	if err != nil {
		return Rate{}, err
	}
	per, err := duration(p, name, a[1])
	return Rate{n, per}, err
}

// serverPrefix parses base/bits of an IPv6 pool, host bits kept.
func serverPrefix(name, s string) (netip.Prefix, error) {
	p, ok := ipv6Bits(s, 64)
	switch {
	case !ok:
		return p, errorf("error parsing --%s parameters", name)
	case p.Bits() < 64 || p.Bits() > 124:
		return p, errorf("--%s settings: network must be between /64 and /124 (not /%d)", name, p.Bits())
	}
	return p, nil
}

// serverMacro holds the parameters of server and server-bridge.
type serverMacro struct {
	network, netmask netip.Addr
	nopool           bool
}

func (p *parser) server(a []string) error {
	addrs, ok := p.quads(a[:2]...)
	switch {
	case !ok:
		return errorf("error parsing --server parameters")
	case len(a) > 2 && a[2] != "nopool":
		return errorf("error parsing --server: %s is not a recognized flag", a[2])
	}
	nopool := p.o.state.server != nil && p.o.state.server.nopool // a flag stays
	p.o.state.server = &serverMacro{addrs[0], addrs[1], nopool || len(a) > 2}
	return nil
}

// bridgeMacro are the forms of server-bridge: four addresses, proxy DHCP, or nogw.
type bridgeMacro struct {
	gateway, netmask, start, end netip.Addr // invalid without addresses
	nogw                         bool
}

func (p *parser) serverBridge(a []string) error {
	var b bridgeMacro // what was said stays
	if p.o.state.bridge != nil {
		b = *p.o.state.bridge
	}
	switch {
	case len(a) == 0:
	case len(a) == 1 && a[0] == "nogw":
		b.nogw = true
	case len(a) == 4:
		addrs, ok := p.quads(a...)
		if !ok {
			return errorf("error parsing --server-bridge parameters")
		}
		b.gateway, b.netmask, b.start, b.end = addrs[0], addrs[1], addrs[2], addrs[3]
	default:
		return p.unrecognized()
	}
	p.o.state.bridge = &b
	return nil
}

// maxPool bounds the addresses of a pool.
const maxPool = 65536

func (p *parser) ifconfigPool(a []string) error {
	p.o.state.serverOnly("--ifconfig-pool/--ifconfig-pool-persist")
	addrs, ok := p.quads(a...)
	if !ok {
		return errorf("error parsing --ifconfig-pool parameters")
	}
	pool := IfconfigPool{Start: addrs[0], End: addrs[1], Netmask: p.o.IfconfigPool.Netmask}
	if len(a) > 2 {
		pool.Netmask = addrs[2]
	}
	if err := checkPool("--ifconfig-pool", pool); err != nil {
		return err
	}
	p.o.IfconfigPool = pool
	return nil
}

func checkPool(name string, pool IfconfigPool) error {
	start, end := toUint(pool.Start), toUint(pool.End)
	switch {
	case start > end:
		return errorf("%s start IP [%s] is greater than end IP [%s]", name, pool.Start, pool.End)
	case end-start >= maxPool:
		return errorf("%s address range is too large [%s -> %s].  Current maximum is %d addresses, as defined by IFCONFIG_POOL_MAX variable.",
			name, pool.Start, pool.End, maxPool)
	}
	return nil
}

func (p *parser) authGenToken(a []string) error {
	o := p.o
	o.AuthGenToken, o.AuthTokenLifetime = true, 0 // the rest stays when it is not said again
	for i, s := range a {
		if s == "external-auth" {
			o.AuthTokenExternal = true
			continue
		}
		d, err := duration(p, "auth-gen-token", s)
		switch {
		case err != nil, i > 1, i == 1 && d == 0:
			return errorf("Invalid argument to auth-gen-token: %s (%d)", s, i+1)
		case i == 0:
			o.AuthTokenLifetime = d
		default:
			o.AuthTokenRenewal, o.state.tokenRenewal = d, true
		}
	}
	return nil
}

// addPush adds an entry to the list for clients.
func (p *parser) addPush(entry string) error {
	if strings.Contains(entry, ",") {
		return errorf("PUSH OPTION FAILED (illegal comma (',') in string): '%s'", entry)
	}
	if p.cc != nil {
		p.cc.Push = append(p.cc.Push, entry)
	} else {
		p.o.Push = append(p.o.Push, entry)
	}
	return nil
}

const defaultPoolInterval = 600 * time.Second
