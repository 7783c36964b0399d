package config

import (
	"strings"
	"time"
)

// tlsRows are the options of the TLS session and of its key wrapping.
func tlsRows() []row {
	return []row{
		{"tls-client", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.TLSClient })},
		{"tls-server", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.TLSServer })},
		{"tls-auth", 1, 2, connRule | inline, 0, func(p *parser, a []string) error {
			if len(a) > 1 {
				if err := p.keyDirection(a[1]); err != nil {
					return err
				}
			}
			p.c.TLSAuth, p.c.set.wrap = p.source(a), true
			return nil
		}},
		{"tls-crypt", 1, 2, connRule | inline, 0, func(p *parser, a []string) error {
			p.c.TLSCrypt, p.c.set.wrap = p.source(a), true
			return nil
		}},
		{"tls-crypt-v2", 1, 2, connRule | inline, 0, func(p *parser, a []string) error {
			if len(a) > 1 {
				switch a[1] {
				case "force-cookie":
					p.c.TLSCryptV2ForceCookie = true
				case "allow-noncookie":
					p.c.TLSCryptV2ForceCookie = false
				default:
					return errorf("Unsupported tls-crypt-v2 argument: %s", a[1])
				}
			}
			p.c.TLSCryptV2, p.c.set.wrap = p.source(a), true
			return nil
		}},
		{"key-direction", 1, 1, connRule, 0, func(p *parser, a []string) error { return p.keyDirection(a[0]) }},
		{"tls-crypt-v2-max-age", 1, many, inMain | atOnce, 0, func(p *parser, a []string) error {
			days, err := integer(p, "tls-crypt-v2-max-age", a[0], 1, 106751) // as a time.Duration takes
			p.o.TLSCryptV2MaxAge = time.Duration(days) * 24 * time.Hour
			return err
		}},
		{"tls-version-min", 1, 2, inMain | atOnce, 0, func(p *parser, a []string) error {
			highest := len(a) > 1 && a[1] == "or-highest"
			if !isTLSVersion(a[0]) && !highest {
				return errorf("unknown tls-version-min parameter: %s", a[0])
			}
			p.o.TLSVersionMin, p.o.TLSVersionMinOrHighest = a[0], highest
			if !isTLSVersion(a[0]) {
				p.o.TLSVersionMin = "1.3"
			}
			return nil
		}},
		{"tls-version-max", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) error {
			if !isTLSVersion(a[0]) {
				return errorf("unknown tls-version-max parameter: %s", a[0])
			}
			p.o.TLSVersionMax = a[0]
			return nil
		}},
		{"tls-cipher", 1, 1, inMain | atOnce, 0, text(func(o *Options) *string { return &o.TLSCipher })},
		{"tls-ciphersuites", 1, 1, inMain | atOnce, 0, text(func(o *Options) *string { return &o.TLSCiphersuites })},
		{"tls-groups", 1, 1, inMain | atOnce, 0, text(func(o *Options) *string { return &o.TLSGroups })},
		{"tls-cert-profile", 1, 1, inMain | atOnce, 0, text(func(o *Options) *string { return &o.TLSCertProfile })},
		{"tls-timeout", 1, 1, inMain | forNew, 0, seconds(func(o *Options) *time.Duration { return &o.TLSTimeout })},
		{"reneg-sec", 1, 2, inMain | forNew, 0, func(p *parser, a []string) (err error) {
			if p.o.RenegSec, err = duration(p, "reneg-sec", a[0]); err == nil && len(a) > 1 {
				p.o.RenegSecMin, err = duration(p, "reneg-sec", a[1])
			}
			return err
		}},
		{"reneg-bytes", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) (err error) {
			p.o.RenegBytes, err = integer[int64](p, "reneg-bytes", a[0], 0, 1<<62)
			return err
		}},
		{"reneg-pkts", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) (err error) {
			p.o.RenegPackets, err = integer[int64](p, "reneg-pkts", a[0], 0, 1<<62)
			return err
		}},
		{"hand-window", 1, 1, inMain | forNew, 0, seconds(func(o *Options) *time.Duration { return &o.HandWindow })},
		{"tran-window", 1, 1, inMain | forNew, 0, seconds(func(o *Options) *time.Duration { return &o.TranWindow })},
		{"tls-exit", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.TLSExit })},
		{"single-session", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.SingleSession })},
		{"tls-export-cert", 1, 1, inMain | atOnce, 0, text(func(o *Options) *string { return &o.TLSExportCert })},
		{"keying-material-exporter", 2, many, inMain, 0, func(p *parser, a []string) error {
			if !strings.HasPrefix(a[0], "EXPORTER") {
				return errorf("Keying material exporter label must begin with \"EXPORTER\"")
			}
			n, err := integer(p, "keying-material-exporter", a[1], 0, maxSeconds)
			if err != nil || n < 16 || n > 4095 {
				return errorf("Invalid keying material exporter length")
			}
			p.o.ExporterLabel, p.o.ExporterLength = a[0], n
			return nil
		}},
	}
}

func isTLSVersion(s string) bool { return s == "1.0" || s == "1.1" || s == "1.2" || s == "1.3" }

func (p *parser) keyDirection(s string) error {
	switch s {
	case "0":
		p.c.KeyDirection = KeyDirection0
	case "1":
		p.c.KeyDirection = KeyDirection1
	default:
		return errorf("Unknown key direction '%s' -- must be '0' or '1'", s)
	}
	return nil
}
