package config

import (
	"encoding/base64"
	"slices"
)

// clientRows are the options of clients, and what servers tell them.
func clientRows() []row {
	return []row{
		{"client", 0, 0, inMain, 0, func(p *parser, _ []string) error {
			p.o.state.client = true
			return nil
		}},
		{"pull", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.Pull })},
		{"pull-filter", 2, 2, inMain, 0, func(p *parser, a []string) error {
			if a[0] != "accept" && a[0] != "ignore" && a[0] != "reject" {
				return errorf("Unknown --pull-filter type: %s", a[0])
			}
			p.o.PullFilters = append(p.o.PullFilters, PullFilter{a[0], a[1]})
			return nil
		}},
		{"auth-user-pass", 0, 1, inMain | inline, 0, func(p *parser, a []string) error {
			u := AuthUserPass{Enabled: true, UsernameOnly: p.o.AuthUserPass.UsernameOnly}
			switch {
			case len(a) == 0:
				u.Ask = true
			case a[0] == "username-only" && !p.line.Inline:
				u.UsernameOnly, u.Ask = true, true
			default:
				u.Source = p.source(a)
			}
			p.o.AuthUserPass = u
			return nil
		}},
		{"auth-retry", 1, 1, inMain, 0, func(p *parser, a []string) error {
			if a[0] != "none" && a[0] != "interact" && a[0] != "nointeract" {
				return errorf("--auth-retry method must be 'interact', 'nointeract', or 'none'")
			}
			p.o.AuthRetry = a[0]
			return nil
		}},
		{"auth-nocache", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.AuthNocache })},
		{"askpass", 0, 1, inMain, 0, func(p *parser, a []string) error {
			p.o.AskPass, p.o.AskPassAsk = Source{}, len(a) == 0
			if len(a) > 0 {
				p.o.AskPass.Path = a[0]
			}
			return nil
		}},
		{"static-challenge", 2, 3, inMain, 0, func(p *parser, a []string) error {
			echo, err := integer(p, "static-challenge", a[1], 0, maxSeconds)
			if err != nil {
				return err
			}
			concat := false
			if len(a) > 2 {
				if a[2] != "scrv1" && a[2] != "concat" {
					return p.unrecognized()
				}
				concat = a[2] == "concat"
			}
			p.o.StaticChallenge, p.o.StaticChallengeEcho, p.o.StaticChallengeConcat = a[0], echo != 0, concat
			return nil
		}},
		{"push-peer-info", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.PushPeerInfo })},

		{"auth-token", 1, 1, mainAll, 0, text(func(o *Options) *string { return &o.AuthToken })},
		{"auth-token-user", 1, 1, mainAll, 0, func(p *parser, a []string) error {
			b, err := base64.StdEncoding.DecodeString(a[0])
			if err != nil {
				return errorf("auth-token-user: '%s' is not base64", a[0])
			}
			p.o.AuthTokenUser = string(b)
			return nil
		}},
		{"push-continuation", 1, 1, inPush, 0, ignored},
		{"peer-id", 1, 1, mainPush, classPeerID, func(p *parser, a []string) error {
			n, err := integer(p, "peer-id", a[0], 0, 1<<24-1)
			if err == nil && p.ctx == pushContext {
				p.o.PeerID = n
			}
			return err
		}},
		{"key-derivation", 1, many, mainPush, classCrypto, func(p *parser, a []string) error {
			if a[0] != "tls-ekm" {
				return errorf("Unknown key-derivation method %s", a[0])
			}
			p.o.KeyDerivationEKM = true
			return nil
		}},
		{"protocol-flags", 1, many, mainPush, classCrypto, func(p *parser, a []string) error {
			for _, f := range a {
				switch f {
				case "cc-exit":
					p.o.CCExit = true
				case "tls-ekm":
					p.o.KeyDerivationEKM = true
				case "dyn-tls-crypt":
					p.o.DynamicTLSCrypt = true
				case "aead-epoch":
					p.o.AEADEpoch = true
				default:
					return errorf("Unknown protocol-flags flag: %s", f)
				}
			}
			return nil
		}},
	}
}

// managementRows are the options of the management port.
func managementRows() []row {
	rows := []row{
		{"management", 2, 3, inMain, 0, func(p *parser, a []string) error {
			m := ManagementAddr{Host: a[0], Port: a[1]}
			if a[1] == "unix" {
				m = ManagementAddr{Unix: a[0]}
			}
			if len(a) > 2 {
				m.Password = Source{Path: a[2]}
			}
			p.o.ManagementListen = append(p.o.ManagementListen, m)
			return nil
		}},
		{"management-client-user", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.ManagementClientUser })},
		{"management-client-group", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.ManagementClientGroup })},
		{"management-external-key", 0, many, inMain, 0, func(p *parser, a []string) error {
			for _, f := range a {
				if !slices.Contains([]string{"nopadding", "pkcs1", "pss", "digest"}, f) {
					return errorf("Unknown management-external-key flag: %s", f)
				}
			}
			p.o.ManagementExternalKey, p.o.ManagementExternalKeyFlags = true, a
			if len(a) == 0 {
				p.o.ManagementExternalKeyFlags = []string{"pkcs1"}
			}
			return nil
		}},
		{"script", 1, many, inMain, 0, luaScript},
		{"journal", 1, 1, inMain, 0, func(p *parser, a []string) error { p.o.Journal = a[0]; return nil }},
		{"management-external-cert", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.ManagementExternalCert })},
		{"management-log-cache", 1, 1, inMain, 0, func(p *parser, a []string) error {
			n, err := integer(p, "management-log-cache", a[0], 1, maxSeconds)
			if err != nil {
				return errorf("--management-log-cache parameter is out of range")
			}
			p.o.ManagementLogCache = n
			return nil
		}},
	}
	for name, f := range map[string]func(o *Options) *bool{
		"management-client":            func(o *Options) *bool { return &o.ManagementClient },
		"management-query-passwords":   func(o *Options) *bool { return &o.ManagementQueryPasswords },
		"management-query-remote":      func(o *Options) *bool { return &o.ManagementQueryRemote },
		"management-query-proxy":       func(o *Options) *bool { return &o.ManagementQueryProxy },
		"management-query-token":       func(o *Options) *bool { return &o.ManagementQueryToken },
		"management-hold":              func(o *Options) *bool { return &o.ManagementHold },
		"management-signal":            func(o *Options) *bool { return &o.ManagementSignal },
		"management-forget-disconnect": func(o *Options) *bool { return &o.ManagementForgetDisconnect },
		"management-up-down":           func(o *Options) *bool { return &o.ManagementUpDown },
		"management-client-auth":       func(o *Options) *bool { return &o.ManagementClientAuth },
	} {
		rows = append(rows, row{name, 0, 0, inMain, 0, flag(f)})
	}
	return rows
}
