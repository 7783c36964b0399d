package config

import (
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// cryptoRows are the options of the data channel.
func cryptoRows() []row {
	return []row{
		{"cipher", 1, 1, mainAll | forNew | ownToSession, classCrypto, func(p *parser, a []string) error {
			p.o.Cipher, p.o.CipherDefined = a[0], true
			if p.ctx == mainContext && p.o.DataCiphersFallback != "" { // a server that pushes a cipher makes it no fallback
				p.o.DataCiphersFallback = a[0] // the last of both is meant
			}
			return nil
		}},
		{"data-ciphers", 1, 1, mainCCD | forNew, classCrypto, (*parser).dataCiphers},
		{"ncp-ciphers", 1, 1, mainCCD | forNew, classCrypto, func(p *parser, a []string) error {
			p.note(logging.Info, "Note: Treating option '--ncp-ciphers' as  '--data-ciphers' (renamed in OpenVPN 2.5).")
			return p.dataCiphers(a)
		}},
		{"data-ciphers-fallback", 1, 1, mainCCD | forNew, classCrypto, text(func(o *Options) *string { return &o.DataCiphersFallback })},
		{"providers", 1, many, unruled, 0, func(p *parser, a []string) error {
			p.o.LegacyCiphers = slices.Contains(a, "legacy")
			for _, name := range a {
				if name != "legacy" && name != "default" && name != "base" {
					return fatalf("failed to load provider '%s': OpenSSL is not used here, which knows default, legacy and base", name)
				}
			}
			return nil
		}},
		{"auth", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.Auth })},
		{"secret", 1, 2, inMain | inline, 0, func(p *parser, a []string) error {
			p.warn("DEPRECATED OPTION: The option --secret is deprecated.")
			if len(a) > 1 {
				if err := p.keyDirection(a[1]); err != nil {
					return err
				}
			}
			p.o.Secret = p.source(a)
			return nil
		}},
		{"replay-window", 0, 2, inMain | forNew, 0, func(p *parser, a []string) error {
			if len(a) == 0 {
				return errorf("replay-window option is missing window size parameter")
			}
			n, err := integer(p, "replay-window", a[0], 0, 65536)
			if err != nil {
				return err
			}
			p.o.ReplayWindow = n
			if len(a) > 1 {
				d, err := duration(p, "replay-window", a[1])
				if err != nil {
					return err
				}
				if s := int(d.Seconds()); s > 600 {
					return errorf("replay-window time window parameter (%d) must be between 0 and 600", s)
				}
				p.o.ReplayTime = d
			}
			return nil
		}},
		{"no-replay", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.NoReplay })},
		{"mute-replay-warnings", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.MuteReplayWarnings })},
		{"replay-persist", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.ReplayPersist })},

		{"allow-compression", 1, 1, inMain, 0, func(p *parser, a []string) error {
			if a[0] != "yes" && a[0] != "no" && a[0] != "asym" {
				return errorf("bad allow-compression option: %s -- must be 'yes', 'no', or 'asym'", a[0])
			}
			if a[0] != "no" && p.o.state.allowCompression && p.o.AllowCompression == "no" {
				return errorf("Cannot set allow-compression to '%s' after set to 'no'", a[0])
			}
			p.o.AllowCompression, p.o.state.allowCompression = a[0], true
			return nil
		}},
		{"comp-lzo", 0, 1, mainAll, classCompression, func(p *parser, a []string) error {
			mode := append(a, "adaptive")[0]
			switch mode {
			case "no":
			case "yes", "adaptive":
				p.compressionWarning()
			default:
				return errorf("bad comp-lzo option: %s -- must be 'yes', 'no', or 'adaptive'", mode)
			}
			p.o.Framing, p.o.Compressed = FramingLZO, mode != "no"
			return nil
		}},
		{"compress", 0, 1, mainAll, classCompression, func(p *parser, a []string) error {
			f := Framing(append(a, "stub")[0])
			switch f {
			case FramingStub, FramingStubV2, FramingMigrate:
			case FramingLZO, FramingLZ4, FramingLZ4v2:
				p.compressionWarning()
			default:
				return errorf("bad comp option: %s", f)
			}
			p.o.Framing, p.o.Compressed = f, f == FramingLZO || f == FramingLZ4 || f == FramingLZ4v2
			return nil
		}},
	}
}

func (p *parser) dataCiphers(a []string) error {
	p.o.DataCiphers = strings.Split(a[0], ":")
	return nil
}

// compressionWarning is said wherever packets of the peer may be compressed; we never compress.
func (p *parser) compressionWarning() {
	p.warn("WARNING: Compression for receiving enabled. Compression has been used in the past to break encryption. Sent packets are not " +
		"compressed unless \"allow-compression yes\" is also set.")
}
