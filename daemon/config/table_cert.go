package config

import (
	"crypto/sha1" //nolint:gosec // verify-hash names it
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// serverEKU is the extended key usage remote-cert-tls asks for, in OpenSSL's words.
const (
	serverEKU = "TLS Web Server Authentication"
	clientEKU = "TLS Web Client Authentication"
)

// certificateRows are the options about certificates, ours and the peer's.
func certificateRows() []row {
	return []row{
		{"ca", 1, 1, inMain | inline | atOnce, 0, source(func(o *Options) *Source { return &o.CA })},
		{"capath", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) error {
			p.o.CAPath = a[0]
			p.doubt("WARNING: experimental option --capath %s", a[0])
			return nil
		}},
		{"cert", 1, 1, inMain | inline | atOnce, 0, source(func(o *Options) *Source { return &o.Cert })},
		{"key", 1, 1, inMain | inline | atOnce, 0, source(func(o *Options) *Source { return &o.Key })},
		{"extra-certs", 1, 1, inMain | inline | atOnce, 0, source(func(o *Options) *Source { return &o.ExtraCerts })},
		{"pkcs12", 1, 1, inMain | inline | atOnce, 0, source(func(o *Options) *Source { return &o.PKCS12 })},
		{"dh", 1, 1, inMain | inline | atOnce, 0, source(func(o *Options) *Source { return &o.DH })},
		{"crl-verify", 1, 2, inMain | inline | atOnce, 0, func(p *parser, a []string) error {
			if len(a) > 1 && a[1] != "dir" {
				return p.unrecognized()
			}
			p.o.CRL, p.o.CRLDir = p.source(a), len(a) > 1
			return nil
		}},
		{"verify-x509-name", 1, 2, inMain | atOnce, 0, func(p *parser, a []string) error {
			t := append(a, "subject")[1]
			if t != "subject" && t != "name" && t != "name-prefix" {
				return errorf("unknown X.509 name type: %s", t)
			}
			p.o.VerifyX509Name, p.o.VerifyX509Type = a[0], t
			return nil
		}},
		{"remote-cert-tls", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) error {
			switch a[0] {
			case "server":
				p.o.RemoteCertEKU = serverEKU
			case "client":
				p.o.RemoteCertEKU = clientEKU
			default:
				return errorf("--remote-cert-tls must be 'client' or 'server'")
			}
			p.o.RemoteCertTLS, p.o.RemoteCertKU, p.o.RemoteCertKURequired = a[0], nil, true
			return nil
		}},
		{"remote-cert-ku", 0, many, inMain | atOnce, 0, func(p *parser, a []string) error {
			p.o.RemoteCertKU, p.o.RemoteCertKURequired = nil, true
			for _, s := range a {
				n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(s), "0x"), 16, 16)
				if n == anyKeyUsage {
					continue
				}
				if err != nil {
					return errorf("remote-cert-ku: Cannot parse argument '%s' as hexadecimal number", s)
				}
				p.o.RemoteCertKU = append(p.o.RemoteCertKU, uint16(n))
			}
			return nil
		}},
		{"remote-cert-eku", 1, 1, inMain | atOnce, 0, text(func(o *Options) *string { return &o.RemoteCertEKU })},
		{"ns-cert-type", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) error {
			if a[0] != "client" && a[0] != "server" {
				return errorf("--ns-cert-type must be 'client' or 'server'")
			}
			p.o.NSCertType = a[0]
			return nil
		}},
		{"verify-hash", 1, 2, inMain | inline | atOnce, 0, func(p *parser, a []string) error {
			p.warn("DEPRECATED OPTION: The option --verify-hash is deprecated. You should switch to the either use the level 1 certificate " +
				"as --ca option, use --tls-verify or use --peer-fingerprint")
			size := sha1.Size
			if p.line.Inline { // which names no algorithm
				size = sha256.Size
			}
			if len(a) > 1 {
				switch a[1] {
				case "SHA1":
				case "SHA256":
					size = sha256.Size
				default:
					return errorf("invalid or unsupported hashing algorithm: %s (only SHA1 and SHA256 are supported)", a[1])
				}
			}
			h, err := p.hashes(a[0], size)
			p.o.VerifyHash = append(slices.Clip(p.o.VerifyHash), h...)
			return err
		}},
		{"peer-fingerprint", 1, 1, inMain | inline | atOnce, 0, func(p *parser, a []string) error {
			h, err := p.hashes(a[0], sha256.Size)
			p.o.PeerFingerprint = append(p.o.PeerFingerprint, h...)
			return err
		}},
		{"x509-track", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) error {
			p.o.X509Track = append(p.o.X509Track, a[0])
			return nil
		}},
		{"x509-username-field", 1, many, inMain | forNew, 0, (*parser).usernameFields},
	}
}

// anyKeyUsage in remote-cert-ku asks for the extension and not for its bits.
const anyKeyUsage = 0xffff

// hashes parses fingerprints, one a line in a block.
func (p *parser) hashes(s string, size int) ([][]byte, error) {
	list := []string{s}
	if p.line.Inline {
		list = strings.Split(s, "\n")
	}
	var all [][]byte
	for _, line := range list {
		line = strings.TrimSpace(line)
		if p.line.Inline && (line == "" || line[0] == '#' || line[0] == ';') {
			continue
		}
		var b []byte
		for _, octet := range strings.Split(line, ":") {
			v, err := hex.DecodeString(octet)
			if err != nil || len(v) != 1 {
				return nil, errorf("format error in hash fingerprint: %s", line)
			}
			b = append(b, v...)
		}
		if len(b) != size {
			return nil, errorf("hash fingerprint is wrong length - expected %d bytes, got %d: %s", size, len(b), line)
		}
		all = append(all, b)
	}
	return all, nil
}

// usernameFields reads the fields that make up the user's name. Of alternatives, with "|" between them, the first counts that the
// certificate has.
func (p *parser) usernameFields(a []string) error {
	for _, f := range a {
		for one := range strings.SplitSeq(f, "|") {
			if strings.HasPrefix(one, "ext:") && !isAltName(one) {
				return errorf("Unsupported x509-username-field extension: %s", one)
			}
		}
	}
	p.o.X509UsernameFields = slices.Clone(a)
	return nil
}

func isAltName(field string) bool {
	return field == "ext:subjectAltName" || field == "ext:issuerAltName"
}

// upcaseNames makes capitals of fields in small letters.
func (p *parser) upcaseNames() {
	if !p.o.Compat.UpcasesNames() {
		return
	}
	for i, f := range p.o.X509UsernameFields {
		fields := strings.Split(f, "|")
		for j, one := range fields {
			up := strings.ToUpper(one)
			if one != strings.ToLower(one) || up == one || isAltName(one) {
				continue
			}
			fields[j] = up
			p.warn("DEPRECATED FEATURE: automatically upcased the --x509-username-field parameter to '%s'; please update your"+
				"configuration", up)
		}
		p.o.X509UsernameFields[i] = strings.Join(fields, "|")
	}
}
