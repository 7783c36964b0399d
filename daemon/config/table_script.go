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
