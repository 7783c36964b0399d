package config

import (
	"errors"
	"io"
	"os"
	"strings"
)

// Env gives Parse what it needs from outside. The zero Env is that of the process.
type Env struct {
	Getenv func(string) string // nil: os.Getenv
	Stdin  io.Reader           // for "config stdin"; nil: os.Stdin

	// SkipFiles leaves out the checks of files, scripts and folders, and the change of directory that cd asks for.
	SkipFiles bool

	// Restricted lets files pass that cannot be reached for want of rights: a daemon that gave its rights up has read
	// them before.
	Restricted bool
}

// Directive is one option as read.
type Directive struct {
	Name   string
	Params []string // a block is the only parameter of its option
	Inline bool
	File   string
	Line   int
}

// Parse reads a command line in OpenVPN's form, without the program name: either one word, the name of a file, or
// options that begin with two dashes and their parameters.
//
// The error is ErrUsage, ErrVersion or an *Error; in the latter case the options read so far are returned as well,
// since they tell where the message has to go (Log, Syslog, ErrorsToStderr). Otherwise the Options are complete.
func Parse(args []string, env Env) (*Options, error) {
	if env.Getenv == nil {
		env.Getenv = os.Getenv
	}
	p := &parser{o: defaults(env.Getenv), env: env, fail: func(e *Error) error { return e }}
	p.c = &p.o.state.ce
	err := p.argv(args)
	if err == nil {
		err = p.finish()
	}
	if errors.Is(err, ErrUsage) || errors.Is(err, ErrVersion) {
		return nil, err
	}
	return p.o, err
}

func (p *parser) argv(args []string) error {
	if len(args) == 0 {
		return ErrUsage
	}
	if len(args) == 1 && !strings.HasPrefix(args[0], "--") {
		args = []string{"--config", args[0]}
	}
	for len(args) > 0 {
		name, ok := strings.CutPrefix(args[0], "--")
		if !ok {
			e := errorf("I'm trying to parse \"%s\" as an --option parameter but I don't see a leading '--'", args[0])
			e.File, e.Line = cmdLine, 1
			return e
		}
		n := 1
		for n < len(args) && n <= many && !strings.HasPrefix(args[n], "--") {
			n++
		}
		d := Directive{Name: name, Params: args[1:n:n], File: cmdLine, Line: 1}
		args = args[n:]
		if err := p.apply(d); err != nil {
			return err
		}
	}
	return nil
}

// finish turns what was read into complete options.
func (p *parser) finish() error {
	if done, err := p.begin(); done || err != nil {
		return err
	}
	for _, step := range finishing {
		if err := step(p); err != nil {
			return err
		}
	}
	return nil
}

// begin takes the first steps of finish. It reports whether nothing else is left to do.
func (p *parser) begin() (done bool, err error) {
	if !p.env.Restricted { // else the process is in it
		p.o.Jail = newJail(p.o.Chroot)
	}
	if p.o.Tool.Name != "" {
		if done, err := p.checkTool(); done || err != nil {
			p.o.Connections = []Connection{p.o.state.ce}
			return done, err
		}
	}
	p.o.PersistKey = p.o.PersistKey || p.o.Compat.PersistsKeys()
	p.upcaseNames()
	return false, nil
}

// finishing are the steps of finish, in stock's order.
var finishing = []func(*parser) error{
	(*parser).macros, (*parser).ciphers, (*parser).compatibility, (*parser).profiles, (*parser).keepalives, (*parser).certificates, (*parser).applyLinkMTU,
	(*parser).checkConnections, (*parser).checkProtection, (*parser).checkMode, (*parser).checkCredentials, (*parser).checkTLSOnly,
	(*parser).warnings, (*parser).finishDNS, (*parser).checkFiles, (*parser).checkDevice,
}

// checkTool checks what a task needs instead of a tunnel. It reports whether nothing else has to be checked.
func (p *parser) checkTool() (bool, error) {
	o := p.o
	switch o.Tool.Name {
	case "mktun", "rmtun":
		if o.Dev == "" {
			return true, errorf("options --mktun or --rmtun should only be used together with --dev")
		}
		return true, p.deviceType()
	case "test-crypto":
		if !o.Secret.Set() {
			return true, errorf("You must define key file (--secret)")
		}
	case "genkey":
		if o.Secret.Set() && len(o.Tool.Args) == 0 {
			p.warn("WARNING: Using --genkey --secret filename is DEPRECATED.  Use --genkey secret filename instead.")
			o.Tool.Args = []string{"secret", o.Secret.Path}
		}
	}
	return true, nil
}
