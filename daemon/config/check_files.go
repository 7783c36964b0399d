package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/moongate-vpn/moongate/mgmt/lexer"
	"github.com/moongate-vpn/moongate/mgmt/secret"
)

// errnoText is the system's text for an error with its number, as log lines carry it.
func errnoText(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		return fmt.Sprintf("%s (errno=%d)", titled(no.Error()), int(no))
	}
	return err.Error()
}

// titled gives the system's texts the capital letter they have in C.
func titled(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// access modes of access(2).
const (
	accessRead  = 4
	accessWrite = 2
	accessExec  = 1
)

// fileCheck is one file or folder that has to be usable.
type fileCheck struct {
	option  string // as the message shows it
	source  Source
	mode    uint32
	private bool // warn when others may read it
	chroot  bool // looked up inside of chroot
	stdin   bool // the name stdin means standard input
	secret  bool // a reference to a secret means where it is kept
	parent  bool // the file may come later, in a folder that lets it be made
	again   bool // looked at while the daemon runs, with the rights it has then
}

// checkFiles looks at every file the configuration names. All that is wrong is told at once.
func (p *parser) checkFiles() error {
	if p.env.SkipFiles {
		return nil
	}
	o := p.o
	checks := []fileCheck{
		{option: "--dh", source: o.DH, mode: accessRead},
		{option: "--ca", source: o.CA, mode: accessRead},
		{option: "--capath", source: Source{Path: o.CAPath}, mode: accessRead, chroot: true, again: true},
		{option: "--cert", source: o.Cert, mode: accessRead},
		{option: "--extra-certs", source: o.ExtraCerts, mode: accessRead},
		{option: "--key", source: o.Key, mode: accessRead, private: true},
		{option: "--pkcs12", source: o.PKCS12, mode: accessRead, private: true},
		{option: "--crl-verify", source: o.CRL, mode: accessRead, chroot: true, again: true},
	}
	if o.CRLDir {
		checks[len(checks)-1] = fileCheck{option: "--crl-verify directory", source: o.CRL, mode: accessExec, chroot: true, again: true}
	}
	if o.DH.Path == "none" {
		checks[0].source = Source{}
	}
	if o.ManagementQueryToken { // the port will be asked for what is not there
		for i, c := range checks {
			if c.option == "--cert" || c.option == "--key" || c.option == "--pkcs12" {
				checks[i].source = Source{}
			}
		}
	}
	for _, c := range o.Connections {
		checks = append(checks,
			fileCheck{option: "--tls-auth", source: c.TLSAuth, mode: accessRead, private: true},
			fileCheck{option: "--tls-crypt", source: c.TLSCrypt, mode: accessRead, private: true},
			fileCheck{option: "--tls-crypt-v2", source: c.TLSCryptV2, mode: accessRead, private: true})
	}
	checks = append(checks,
		fileCheck{option: "--secret", source: o.Secret, mode: accessRead, private: true},
		fileCheck{option: "--askpass", source: o.AskPass, mode: accessRead, private: true, stdin: true, secret: true},
		fileCheck{option: "--auth-user-pass", source: o.AuthUserPass.Source, mode: accessRead, private: true, stdin: true, secret: true})
	checks = append(checks, o.protectionFiles()...)
	checks = append(checks,
		fileCheck{option: "--replay-persist", source: Source{Path: o.ReplayPersist}, mode: accessRead | accessWrite, parent: true},
		fileCheck{option: "--writepid", source: Source{Path: o.PIDFile}, mode: accessWrite, parent: true},
		fileCheck{option: "--status", source: Source{Path: o.Status}, mode: accessWrite, parent: true},
		fileCheck{option: "--chroot directory", source: Source{Path: o.Chroot}, mode: accessExec},
		fileCheck{option: "--tls-export-cert", source: Source{Path: o.TLSExportCert}, mode: accessWrite, chroot: true, again: true},
		fileCheck{option: "--client-config-dir", source: Source{Path: o.ClientConfigDir}, mode: accessExec, chroot: true, again: true},
		fileCheck{option: "Temporary directory (--tmp-dir)", source: Source{Path: o.TmpDir}, mode: accessExec | accessWrite, chroot: true, again: true})
	var wrong []string
	seen := make(map[string]bool)
	defer func(d Directive) { p.line = d }(p.line)
	for _, c := range checks {
		p.line = Directive{Name: optionsIn(c.option)[0], Params: []string{c.source.Path}}
		if line := p.checkFile(c); line != "" && !seen[line] {
			seen[line] = true
			wrong = append(wrong, "Options error: "+line)
		}
	}
	if len(wrong) > 0 {
		e := errorf("Please correct these errors.")
		e.Before = wrong
		return e
	}
	return nil
}

func (p *parser) checkFile(c fileCheck) string {
	path := c.source.Path
	if path == "" || c.source.IsInline() || c.stdin && path == "stdin" {
		return ""
	}
	if ref := c.source.Reference(); c.secret && ref != "" {
		return p.checkReference(c.option, ref)
	}
	real := path
	if c.chroot {
		real = p.o.Jail.Path(path)
	}
	err := error(nil)
	if c.parent {
		if err = access(filepath.Dir(real), accessExec); err == nil {
			if err = access(real, c.mode); errors.Is(err, syscall.ENOENT) {
				err = access(filepath.Dir(real), accessExec|accessWrite)
			}
		}
	} else {
		err = access(real, c.mode)
	}
	if c.private {
		fi, serr := os.Stat(real)
		switch {
		case serr != nil:
			p.warn("WARNING: cannot stat file '%s': %s", path, errnoText(serr))
		case (fi.Mode().IsRegular() || fi.IsDir()) && fi.Mode().Perm()&0o077 != 0:
			p.warn("WARNING: file '%s' is group or others accessible", path)
		}
	}
	if err != nil && !(p.env.Restricted && !c.again && errors.Is(err, syscall.EACCES)) {
		return fmt.Sprintf("%s fails with '%s': %s", c.option, real, errnoText(err))
	}
	return ""
}

// checkReference tells what is wrong with a reference to a secret without fetching it. Programs that a configuration names need the same
// permission whether they are scripts or give a secret.
func (p *parser) checkReference(option, ref string) string {
	switch err := secret.Check(ref); {
	case err != nil:
		return fmt.Sprintf("%s: %v", option, err)
	case option == "--auth-user-pass" && strings.HasPrefix(ref, "totp:"):
		return fmt.Sprintf("%s: %s gives a one-time code, not the two lines of a user name and a password", option, ref)
	case secret.Scheme(ref) == "cmd" && p.o.ScriptSecurity < 2:
		return fmt.Sprintf("%s: %s runs a program, which needs --script-security 2", option, ref)
	}
	return ""
}

// checkScript looks for the program of a command as soon as the option is met. A chroot counts when it was set before
// and the script runs after it.
func (p *parser) checkScript(name, cmd string) error {
	if p.env.SkipFiles {
		return nil
	}
	option := "--" + name + " script"
	argv, err := lexer.Split(cmd, option)
	if err != nil {
		return &Error{Text: err.Error(), Usage: true}
	}
	if len(argv) == 0 {
		return errorf("%s path is empty", option)
	}
	path := argv[0]
	if p.o.Chroot != "" && !p.env.Restricted && name != "up" && name != "route-up" {
		path = filepath.Join(p.o.Chroot, path)
	}
	if err := access(path, accessExec); err != nil {
		e := errorf("Please correct this error.")
		e.Before = []string{fmt.Sprintf("Options error: %s fails with '%s': %s", option, path, errnoText(err))}
		return e
	}
	return nil
}
