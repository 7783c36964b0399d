package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// origin is where a line comes from.
type origin uint8

const (
	mainContext origin = iota // command line and files
	connContext               // a connection block
	pushContext               // a server's list
	ccdContext                // a client's file
)

// Names of what is not a file.
const (
	cmdLine     = "[CMD-LINE]"
	pushList    = "[PUSH-OPTIONS]"
	connOptions = "[CONNECTION-OPTIONS]"
)

// parser applies lines to Options.
type parser struct {
	o   *Options
	c   *Connection   // where options of a profile go
	cc  *ClientConfig // of ccdContext
	ctx origin
	env Env

	line    Directive // the one being applied
	block   Directive // of connContext
	changed class     // classes of what was applied
	depth   int       // files being read

	noted []Directive // the line that each of o.Notes is about, for Lint

	// fail decides about an error in a line: nil goes on with the next one.
	fail func(*Error) error
	// skip passes over a line, as if it were not there; may be nil.
	skip func(Directive) bool
	// seen gets the lines that were applied, those of connection blocks among them; may be nil.
	seen *[]Directive
}

// placed is a line with the file that it is in. Messages count the lines of a connection block from its start.
func (p *parser) placed(d Directive) Directive {
	if p.ctx == connContext {
		d.File, d.Line = p.block.File, p.block.Line+d.Line
	}
	return d
}

// source is the value of an option that takes a file or a block.
func (p *parser) source(a []string) Source {
	if p.line.Inline {
		return Source{Inline: []byte(a[0])}
	}
	return Source{Path: a[0]}
}

// note and warn add a line for the log; the first of args may be used by the format as usual.
func (p *parser) note(lv logging.Level, format string, args ...any) {
	p.o.Notes = append(p.o.Notes, Note{Level: lv, Text: sprintf(format, args)})
	p.noted = append(p.noted, p.placed(p.line))
}

func (p *parser) warn(format string, args ...any) { p.note(logging.Warn, format, args...) }

// doubt adds to what is to be said at each start of an instance, whatever the verbosity.
func (p *parser) doubt(format string, args ...any) {
	p.o.Warnings = append(p.o.Warnings, Note{Level: logging.Alert, Text: sprintf(format, args)})
}

// sprintf leaves alone a text that has no verbs for its arguments.
func sprintf(format string, args []any) string {
	if !strings.Contains(format, "%") {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// apply applies one line. Errors know where they are.
func (p *parser) apply(d Directive) error {
	if p.skip != nil && p.skip(p.placed(d)) {
		return nil
	}
	err := p.tryApply(d)
	if e, ok := err.(*Error); ok { //nolint:errorlint // made by us, never wrapped
		if e.File == "" {
			e.File, e.Line, e.Option = d.File, d.Line, d.Name
		}
		return e
	}
	return err
}

func (p *parser) tryApply(d Directive) error {
	tolerant := p.o.state.forwardCompatible || slices.Contains(p.o.state.ignoreUnknown, d.Name)
	if d.Name == "setenv" && len(d.Params) > 0 && d.Params[0] == "opt" && p.ctx != pushContext {
		tolerant = true
		if len(d.Params) == 1 {
			d.Name, d.Params = "setenv opt", nil
		} else {
			d.Name, d.Params = d.Params[1], d.Params[2:]
		}
	}
	p.line = d
	r := table()[d.Name]
	if r == nil || len(d.Params) < r.min || len(d.Params) > r.max {
		e := p.unrecognized()
		if r != nil && len(d.Params) > r.max && scripts[d.Name] > 0 {
			e = tooManyParams(d.Name)
			tolerant = false
		}
		if tolerant {
			p.warn("%s", e.Text)
			return nil
		}
		return e
	}
	if !d.Inline && len(d.Params) > 0 && d.Params[0] == "" && p.ctx != pushContext && !slices.Contains(maybeEmpty, d.Name) {
		return errorf("--%s needs a value, it is empty in %s:%d", d.Name, d.File, d.Line)
	}
	if d.Inline && r.facts&inline == 0 {
		return errorf("option '%s' is not expected to be inline (%s:%d)", d.Name, d.File, d.Line)
	}
	if !p.allowed(&r.row) {
		return errorf("option '%s' cannot be used in this context (%s)", d.Name, d.File)
	}
	if p.ctx == mainContext && r.facts&inConn != 0 && len(p.o.state.blocks) > 0 {
		p.warn("Option '%s' in %s:%d is ignored by previous <connection> blocks ", d.Name, d.File, d.Line)
	}
	if p.ctx == mainContext {
		p.o.directives = append(p.o.directives, d)
	}
	if p.seen != nil {
		*p.seen = append(*p.seen, p.placed(d))
	}
	p.changed |= r.class
	return r.apply(p, d.Params)
}

// unrecognized is the one error for unknown names and for wrong numbers of parameters.
func (p *parser) unrecognized() *Error {
	return errorf("Unrecognized option or missing or extra parameter(s) in %s:%d: %s (%s)", p.line.File, p.line.Line, p.line.Name, p.o.Compat.Release())
}

func (p *parser) allowed(r *row) bool {
	switch p.ctx {
	case connContext:
		return r.facts&(inConn|anywhere) != 0
	case pushContext:
		return r.facts&inPush != 0 || r.facts&inRoutes != 0 && !p.o.RouteNopull
	case ccdContext:
		return r.facts&inCCD != 0
	default:
		return r.facts&inMain != 0
	}
}

// maybeEmpty are the options whose first value may be empty. With any other it would count as not given: a template whose variable
// is empty would lose a tls-crypt, a list of revocations or a user. Stock goes on with these.
var maybeEmpty = []string{
	"auth-token", "auth-token-user", "bind", "bind-dev", "daemon", "dev", "dev-node", "dev-type", "dh", "dhcp-option", "echo", "http-proxy-override",
	"ifconfig-pool-persist", "ignore-unknown-option", "log", "log-append", "lport", "parameter", "port", "push", "remote", "replay-persist", "route",
	"route-ipv6", "rport", "setenv-safe", "socks-proxy", "status", "syslog", "tls-ciphersuites",
}

// scripts are options whose parameters beyond the one or two they have are most likely arguments without quotes.
var scripts = map[string]int{
	"up": 1, "down": 1, "route-up": 1, "route-pre-down": 1, "ipchange": 1, "tls-verify": 1,
	"client-connect": 1, "client-disconnect": 1, "client-crresponse": 1, "learn-address": 1, "auth-user-pass-verify": 2,
}

func tooManyParams(name string) *Error {
	plural := ""
	if scripts[name] != 1 {
		plural = "s"
	}
	return errorf("the --%s directive should have at most %d parameter%s.  To pass a list of arguments as one of the parameters, "+
		"try enclosing them in double quotes (\"\").", name, scripts[name], plural)
}

// split runs the lexer over the line of a file.
func (p *parser) split(text, file string, line int) ([]string, error) {
	words, err := lexer.Split(text, fmt.Sprintf("%s:%d", file, line))
	if err != nil {
		return nil, &Error{File: file, Line: line, Text: err.Error(), Usage: true}
	}
	return words, nil
}
