package config

import "github.com/moongate-vpn/moongate/mgmt/lexer"

// command makes an apply function for a script. A second line overrides the first and says so.
func command(f func(o *Options) *string) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		return p.setCommand(f(p.o), p.line.Name, a[0])
	}
}

func (p *parser) setCommand(to *string, name, cmd string) error {
	if *to != "" && *to != "disable" && *to != "force" {
		p.warn("Multiple --%s scripts defined.  The previously configured script is overridden.", name)
	}
	*to = cmd
	return p.checkScript(name, cmd)
}

// scriptRows are the external commands.
func scriptRows() []row {
	return []row{
		{"script-security", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) (err error) {
			p.o.ScriptSecurity, err = integer(p, "script-security", a[0], 0, maxSeconds)
			return err
		}},
		{"up", 1, 1, inMain, 0, command(func(o *Options) *string { return &o.Up })},
		{"down", 1, 1, inMain, 0, command(func(o *Options) *string { return &o.Down })},
		{"down-pre", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.DownPre })},
		{"up-delay", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.UpDelay })},
		{"up-restart", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.UpRestart })},
		{"route-up", 1, 1, inMain, 0, command(func(o *Options) *string { return &o.RouteUp })},
		{"route-pre-down", 1, 1, inMain, 0, command(func(o *Options) *string { return &o.RoutePreDown })},
		{"ipchange", 1, 1, inMain, 0, command(func(o *Options) *string { return &o.IPChange })},
		{"dns-updown", 1, 1, inMain, 0, func(p *parser, a []string) error {
			if a[0] == "disable" || a[0] == "force" {
				p.o.DNSUpdown = a[0]
				return nil
			}
			return p.setCommand(&p.o.DNSUpdown, p.line.Name, a[0])
		}},
		{"tls-verify", 1, 1, inMain | atOnce, 0, command(func(o *Options) *string { return &o.TLSVerify })},
		{"tls-crypt-v2-verify", 1, 1, inMain | atOnce, 0, text(func(o *Options) *string { return &o.TLSCryptV2Verify })},
		{"client-connect", 1, 1, inMain | atOnce, 0, command(func(o *Options) *string { return &o.ClientConnect })},
		{"client-disconnect", 1, 1, inMain | atOnce, 0, command(func(o *Options) *string { return &o.ClientDisconnect })},
		{"client-crresponse", 1, 1, inMain | atOnce, 0, command(func(o *Options) *string { return &o.ClientCRResponse })},
		{"learn-address", 1, 1, inMain | atOnce, 0, command(func(o *Options) *string { return &o.LearnAddress })},
		{"auth-user-pass-verify", 1, 2, inMain | atOnce, 0, func(p *parser, a []string) error {
			switch {
			case len(a) < 2:
				return errorf("--auth-user-pass-verify requires a second parameter ('via-env' or 'via-file')")
			case a[1] != "via-env" && a[1] != "via-file":
				return errorf("second parm to --auth-user-pass-verify must be 'via-env' or 'via-file'")
			}
			p.o.AuthViaFile = a[1] == "via-file"
			return p.setCommand(&p.o.AuthUserPassVerify, p.line.Name, a[0])
		}},
	}
}

// toolRows are options that ask for something else than a tunnel.
func toolRows() []row {
	rows := []row{
		{"genkey", 0, 3, inMain, 0, func(p *parser, a []string) error {
			if len(a) > 0 {
				switch a[0] {
				case "secret", "tls-auth", "tls-crypt", "tls-crypt-v2-server", "tls-crypt-v2-client", "auth-token":
				default:
					return errorf("unknown --genkey type: %s", a[0])
				}
			}
			return p.tool(a)
		}},
		{"show-gateway", 0, 1, inMain, 0, (*parser).tool},
	}
	for _, name := range []string{
		"show-ciphers", "show-digests", "show-tls", "show-engines", "show-curves", "show-groups", "mktun", "rmtun", "test-crypto",
	} {
		rows = append(rows, row{name, 0, 0, inMain, 0, (*parser).tool})
	}
	return rows
}

func (p *parser) tool(a []string) error {
	p.o.Tool = Tool{Name: p.line.Name, Args: a}
	return nil
}

// oddRows are options that only exist so that old files load, or that cannot be had here.
func oddRows() []row {
	rows := []row{
		{"disable-dco", 0, many, unruled, 0, ignored},
		{"tun-ipv6", 0, 0, unruled, 0, func(p *parser, _ []string) error {
			if p.ctx != pushContext {
				p.warn("Note: option tun-ipv6 is ignored because modern operating systems do not need special IPv6 tun handling anymore.")
			}
			return nil
		}},
		{"memstats", 1, 1, inMain, 0, ignored},
		{"fast-io", 0, 0, inMain, 0, ignored},
		{"gremlin", 1, 1, inMain, 0, warned("WARNING: --%s is ignored")},
		{"route-method", 1, 1, mainPush, classRouteExtras, ignored},
		{"iproute", 1, 1, inMain, 0, warned("WARNING: --%s is ignored: routes are set without external programs")},
		{"max-routes", 0, 1, unruled, 0, warned("DEPRECATED OPTION: --max-routes option ignored. The number of routes is unlimited as of OpenVPN 2.4. This option will be removed in a future version, please remove it from your configuration.")},
		{"hash-size", 2, 2, inMain, 0, func(p *parser, a []string) error {
			for _, s := range a {
				if n, err := integer(p, "hash-size", s, 0, maxSeconds); err != nil || n < 1 {
					return errorf("--hash-size sizes must be >= 1 (preferably a power of 2)")
				}
			}
			p.o.state.serverOnly("--hash-size")
			return nil
		}},
		{"bcast-buffers", 1, 1, inMain, 0, func(p *parser, a []string) error {
			if n, err := integer(p, "bcast-buffers", a[0], 0, maxSeconds); err != nil || n < 1 {
				return errorf("--bcast-buffers parameter must be > 0")
			}
			return nil
		}},
		{"msg-channel", 1, many, inMain, 0, refused("--%s is only supported on Windows")},
		{"plugin", 1, many, inMain, 0, func(p *parser, a []string) error {
			args := a[1:]
			if len(args) == 1 { // one argument holds them all: plugin x.so "login user USERNAME"
				var err error
				if args, err = lexer.Split(args[0], "make_arg_array:0"); err != nil {
					return errorf("%v", err)
				}
			}
			p.o.Plugins = append(p.o.Plugins, Plugin{Name: a[0], Args: args})
			return nil
		}},
		{"compat-names", 0, many, inMain, 0, refused("--%s was removed in OpenVPN 2.5. Update your configuration.")},
		{"no-name-remapping", 0, many, inMain, 0, refused("--%s was removed in OpenVPN 2.5. Update your configuration.")},
		{"mtu-dynamic", 0, many, inMain, 0, refused("--%s has been replaced by --fragment")},
		{"client-cert-not-required", 0, 0, inMain | atOnce, 0, func(*parser, []string) error {
			return fatalf("REMOVED OPTION: --client-cert-not-required, use '--verify-client-cert none' instead")
		}},
		{"prng", 1, 2, unruled, 0, warned("NOTICE: --prng option ignored (the random numbers of the system are used)")},
		{"engine", 0, 1, inMain, 0, warned("WARNING: --%s is ignored: OpenSSL is not used")},
		{"providers", 1, many, unruled, 0, warned("WARNING: --%s is ignored: OpenSSL is not used")},
		{"use-prediction-resistance", 0, 0, inMain, 0, warned("WARNING: --%s is ignored: mbed TLS is not used")},
		{"ecdh-curve", 1, 1, inMain | atOnce, 0, warned("Consider setting groups/curves preference with tls-groups instead of forcing a specific curve with ecdh-curve.")},
		{"allow-deprecated-insecure-static-crypto", 0, 0, inMain, 0, ignored},
		{"single-session", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.SingleSession })},
		{"comp-noadapt", 0, 0, mainAll, classCompression, ignored},
	}
	return rows
}
