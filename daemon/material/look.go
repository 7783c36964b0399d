package material

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/internal/pemtext"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// Look tells what is wrong with the keys and certificates that o names, each file for itself, and with the names of ciphers and profiles. A start tells
// the first of it.
func Look(o *config.Options) []config.Problem {
	l := look{o: o}
	l.keys()
	if o.TLSClient || o.TLSServer {
		l.names()
		l.certificates()
	}
	l.logins()
	return l.found
}

// look collects problems.
type look struct {
	o     *config.Options
	found []config.Problem
}

func (l *look) tell(rule string, warning bool, option, word, format string, args ...any) {
	l.found = append(l.found, config.Problem{
		Option: option, Word: word, Finding: config.Finding{Rule: rule, Warning: warning, Text: fmt.Sprintf(format, args...)},
	})
}

// wrong tells that the file of an option is not what it has to be.
func (l *look) wrong(option string, src config.Source, format string, args ...any) {
	word := src.Path
	l.tell(config.RuleFile, false, option, word, "%s %s: %s", option, src, fmt.Sprintf(format, args...))
}

// text reads the file of an option; not ok when there is none, or it was told that it cannot be read. A pipe is left to the daemon: what is read from
// it is gone.
func (l *look) text(option string, src config.Source) (text []byte, ok bool) {
	if !src.Set() || !src.IsInline() && taken(src.Path) {
		return nil, false
	}
	text, err := src.Load()
	var path *fs.PathError
	switch {
	case errors.Is(err, syscall.EISDIR):
		l.wrong(option, src, "it is a folder, a file is needed")
	case errors.As(err, &path):
		l.wrong(option, src, "%v", path.Err)
	case err != nil:
		l.wrong(option, src, "%v", err)
	}
	return text, err == nil
}

// taken reports whether reading a file takes its content, or may wait for it.
func taken(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && !fi.Mode().IsRegular() && !fi.IsDir()
}

// keys looks at what is no certificate and no key of one.
func (l *look) keys() {
	o := l.o
	auth := func(text []byte) error { _, err := keys.ParseStaticKey(text); return err }
	static := func(text []byte) error {
		key, err := keys.ParseStaticKey(text)
		if err == nil {
			err = key.CheckCipher()
		}
		return err
	}
	v2, made := func(text []byte) error { _, err := keys.ParseClientKey(text); return err }, "tls-crypt-v2-client"
	if o.TLSServer {
		v2, made = func(text []byte) error { _, err := keys.ParseWrapKey(text); return err }, "tls-crypt-v2-server"
	}
	token := func(text []byte) error { _, err := keys.ParseTokenKey(text); return err }
	one := func(option string, src config.Source, parse func([]byte) error, made string) {
		text, ok := l.text(option, src)
		if !ok {
			return
		}
		if err := parse(text); errors.Is(err, keys.ErrNoKey) {
			l.wrong(option, src, "it holds %s, not a key that `moongate genkey %s` makes", holds(text), made)
		} else if err != nil {
			l.wrong(option, src, "%v; `moongate genkey %s` makes such a key", err, made)
		}
	}
	seen := make(map[string]bool)
	for _, c := range o.Connections {
		if key := fmt.Sprint(c.TLSAuth, c.TLSCrypt, c.TLSCryptV2); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		one("tls-auth", c.TLSAuth, auth, "tls-auth")
		one("tls-crypt", c.TLSCrypt, static, "tls-crypt")
		one("tls-crypt-v2", c.TLSCryptV2, v2, made)
	}
	one("secret", o.Secret, static, "secret")
	if o.AuthGenToken {
		one("auth-gen-token-secret", o.AuthTokenSecret, token, "auth-token")
	}
}

// names looks at the names of suites, groups and profiles.
func (l *look) names() {
	o := l.o
	for _, x := range []struct {
		option, value string
		set           func(*tlsconf.Options, string)
	}{
		{"tls-cipher", o.TLSCipher, func(t *tlsconf.Options, v string) { t.Ciphers = v }},
		{"tls-ciphersuites", o.TLSCiphersuites, func(t *tlsconf.Options, v string) { t.CipherSuites = v }},
		{"tls-groups", o.TLSGroups, func(t *tlsconf.Options, v string) { t.Groups = v }},
		{"tls-cert-profile", o.TLSCertProfile, func(t *tlsconf.Options, v string) { t.Profile = v }},
	} {
		if x.value == "" {
			continue
		}
		build := func(v string) (notes []string, err error) {
			var t tlsconf.Options
			x.set(&t, v)
			c, err := tlsconf.Build(t)
			if err == nil {
				notes = c.Notes()
			}
			return notes, err
		}
		_, err := build(x.value)
		for name := range strings.SplitSeq(x.value, ":") {
			if notes, alone := build(name); err != nil && alone != nil {
				l.tell(config.RuleSyntax, false, x.option, name, "%s: there is no '%s'%s", x.option, name, listed[x.option])
			} else if (alone != nil || len(notes) > 0) && plain.MatchString(name) && x.option != "tls-cert-profile" {
				l.tell(config.RuleIgnored, true, x.option, name, "%s: '%s' is not available here and passed over", x.option, name)
			}
		}
	}
}

// plain are the names of one thing: not of kinds, with marks for what to take out.
var plain = regexp.MustCompile(`^[A-Za-z0-9]+([-_][A-Za-z0-9]+)+$|^[A-Za-z]+[0-9]+$`)

// listed says where the names are that an option takes.
var listed = map[string]string{
	"tls-cipher": ": --show-tls lists them", "tls-ciphersuites": ": --show-tls lists them", "tls-groups": ": --show-groups lists them",
	"tls-cert-profile": ": want legacy, preferred, suiteb or insecure",
}

// certificates looks at certificates, their keys and lists of revocations.
func (l *look) certificates() {
	o := l.o
	if o.TLSServer && o.DH.Path != "none" {
		l.block("dh", o.DH, "DH PARAMETERS")
	}
	var t tlsconf.Options
	t.CA = l.block("ca", o.CA, "CERTIFICATE")
	t.Cert = l.block("cert", o.Cert, "CERTIFICATE")
	t.Key = l.block("key", o.Key, "PRIVATE KEY")
	t.ExtraCerts = l.block("extra-certs", o.ExtraCerts, "CERTIFICATE")
	if text, ok := l.text("pkcs12", o.PKCS12); ok && !o.PKCS12.IsInline() {
		if len(text) == 0 || text[0] != 0x30 {
			l.wrong("pkcs12", o.PKCS12, "it holds %s, no PKCS#12 bundle", holds(text))
		} else {
			t.PKCS12 = text
		}
	}
	if len(t.CA) > 0 {
		l.build("ca", o.CA, tlsconf.Options{CA: t.CA})
	}
	l.build("capath", config.Source{Path: o.CAPath}, tlsconf.Options{CAPath: o.Jail.Path(o.CAPath)})
	if o.CRL.Set() && !taken(o.Jail.Path(o.CRL.Path)) {
		l.revoked()
	}
	l.pair(t)
}

// build tells what tlsconf says about one option.
func (l *look) build(option string, src config.Source, t tlsconf.Options) {
	if !src.Set() {
		return
	}
	c, err := tlsconf.Build(t)
	if err != nil {
		l.wrong(option, src, "%s", strings.TrimPrefix(err.Error(), option+": "))
		return
	}
	for _, n := range c.Notes() {
		l.tell(config.RuleFile, true, option, src.Path, "%s", strings.TrimPrefix(n, "WARNING: "))
	}
}

// revoked looks at lists of revocations. A daemon starts without them and refuses all peers.
func (l *look) revoked() {
	v := verify(l.o)
	c, err := tlsconf.Build(tlsconf.Options{Verify: tlsconf.Verify{CRL: v.CRL, CRLFile: v.CRLFile, CRLDir: v.CRLDir, Where: v.Where}})
	if err == nil {
		err = c.CRLProblem()
	}
	if err != nil {
		l.tell(config.RuleFile, true, "crl-verify", l.o.CRL.Path, "crl-verify %s: %v; with such a list all peers are refused", l.o.CRL, err)
	}
}

// Why there is no passphrase to try.
var (
	errAsks  = errors.New("the passphrase is asked for")
	errEmpty = errors.New("the passphrase is empty") // which logins tells
)

// pair looks whether our certificate and key open and belong together.
func (l *look) pair(t tlsconf.Options) {
	o := l.o
	option, src := "key", o.Key
	switch {
	case len(t.PKCS12) > 0:
		option, src = "pkcs12", o.PKCS12
	case len(t.Cert) == 0:
		return
	case len(t.Key) == 0: // the certificate alone
		t.External = &tlsconf.External{}
		option, src = "cert", o.Cert
	}
	t.CA = nil
	t.Passphrase = func() (string, error) {
		ask := o.AskPass
		if !ask.Set() || ask.Path == "stdin" || ask.Reference() != "" {
			return "", errAsks
		}
		if taken(ask.Path) {
			return "", errAsks
		}
		text, err := ask.Load()
		line, _, _ := strings.Cut(string(text), "\n")
		if line = strings.TrimRight(line, "\r"); line == "" && err == nil {
			err = errEmpty
		}
		return line, err
	}
	c, err := tlsconf.Build(t)
	switch {
	case errors.Is(err, errAsks), errors.Is(err, errEmpty):
	case errors.Is(err, tlsconf.ErrPassphrase):
		l.tell(config.RuleFile, false, "askpass", o.AskPass.Path, "askpass %s: its first line does not open %s %s", o.AskPass, option, src)
	case err != nil:
		text := err.Error()
		for _, of := range []struct {
			option string
			src    config.Source
		}{{"cert", o.Cert}, {"extra-certs", o.ExtraCerts}, {"key", o.Key}, {"pkcs12", o.PKCS12}} {
			if rest, ok := strings.CutPrefix(text, of.option+": "); ok {
				option, src, text = of.option, of.src, rest
			}
		}
		if strings.HasPrefix(text, "private key does not match") {
			text = fmt.Sprintf("it does not belong to the certificate of cert %s", o.Cert)
		}
		l.wrong(option, src, "%s", text)
	default:
		name := "cert"
		if option == "pkcs12" {
			name = option
		}
		for _, n := range c.Notes() {
			l.tell(config.RuleFile, true, name, "", "%s", strings.TrimPrefix(n, "WARNING: "))
		}
	}
}

// logins looks at files with names and passwords, and at those that protect the management port.
func (l *look) logins() {
	const both = "a user name there and the password in its second line"
	l.firstLine("auth-user-pass", l.o.AuthUserPass.Source, both)
	l.firstLine("askpass", l.o.AskPass, "the passphrase there")
	for _, c := range l.o.Connections {
		if p := c.HTTPProxy; p != nil {
			l.firstLine("http-proxy", config.Source{Path: p.AuthFile}, both)
		}
		if p := c.SOCKSProxy; p != nil {
			l.firstLine("socks-proxy", config.Source{Path: p.AuthFile}, both)
		}
	}
	for _, m := range l.o.ManagementListen {
		l.firstLine("management", m.Password, "the password there")
		for _, p := range m.RolePasswords {
			l.firstLine("management-role", p.Source, "the password there")
		}
		for _, f := range []struct {
			src   config.Source
			label string
		}{{m.Cert, "CERTIFICATE"}, {m.Key, "PRIVATE KEY"}, {m.ClientCA, "CERTIFICATE"}} {
			l.block("management-tls", f.src, f.label)
		}
	}
}

// firstLine looks at a file whose first line must not be empty.
func (l *look) firstLine(option string, src config.Source, needs string) {
	if src.Path == "stdin" || src.Reference() != "" {
		return
	}
	if text, ok := l.text(option, src); ok {
		if first, _, _ := bytes.Cut(text, []byte("\n")); len(bytes.TrimSpace(first)) == 0 {
			l.wrong(option, src, "its first line is empty; it needs %s", needs)
		}
	}
}

// block reads a file that needs a PEM block whose label ends so.
func (l *look) block(option string, src config.Source, label string) []byte {
	text, ok := l.text(option, src)
	if ok && !hasBlock(text, label) {
		l.wrong(option, src, "it holds %s, a %q in PEM form is needed%s", holds(text), label, convert(text))
		return nil
	}
	return text
}

// holds says in a few words what is in a file.
func holds(text []byte) string {
	if len(bytes.TrimSpace(text)) == 0 {
		return "nothing"
	}
	if b := pemtext.First(text, anyBlock); b != nil {
		return fmt.Sprintf("a %q", b.Type)
	}
	if text[0] == 0x30 {
		return "a file in DER form"
	}
	if label, ok := cutOff(text); ok {
		return fmt.Sprintf("a %q without its end", label)
	}
	return "no key and no certificate"
}

// cutOff finds a PEM block that begins and does not end.
func cutOff(text []byte) (label string, ok bool) {
	_, rest, begun := bytes.Cut(text, []byte("-----BEGIN "))
	name, _, closed := bytes.Cut(rest, []byte("-----"))
	if !begun || !closed || len(name) > 40 || bytes.Contains(rest, []byte("-----END "+string(name)+"-----")) {
		return "", false
	}
	return string(name), true
}

// convert says how a file in DER form becomes PEM.
func convert(text []byte) string {
	if len(text) > 0 && text[0] == 0x30 {
		return ": `openssl x509` or `openssl pkey` with -inform DER converts it"
	}
	return ""
}
