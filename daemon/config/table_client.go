package config

import (
	"encoding/base64"
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
					return errorf("--static-challenge: unknown format indicator '%s'", a[2])
				}
				concat = a[2] == "concat"
			}
			p.o.StaticChallenge, p.o.StaticChallengeEcho, p.o.StaticChallengeConcat = a[0], echo != 0, concat
			return nil
		}},
		{"push-peer-info", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.PushPeerInfo })},

		{"auth-token", 1, 1, mainAll | ownToSession, 0, text(func(o *Options) *string { return &o.AuthToken })},
		{"auth-token-user", 1, 1, mainAll | ownToSession, 0, func(p *parser, a []string) error {
			b, err := base64.StdEncoding.DecodeString(a[0])
			if err != nil {
				return errorf("auth-token-user: '%s' is not base64", a[0])
			}
			p.o.AuthTokenUser = string(b)
			return nil
		}},
		{"peer-id", 1, 1, mainPush | ownToSession, classPeerID, func(p *parser, a []string) error {
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
