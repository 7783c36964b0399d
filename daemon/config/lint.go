package config

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/nearest"
)

// Effect says what an option does here.
type Effect string

// Effects.
const (
	Works   Effect = "works"
	Ignored Effect = "accepted without effect"
	Refused Effect = "refused"
)

// Described is an option of the table, for people.
type Described struct {
	Name     string
	Min, Max int    // parameters
	Effect   Effect // what it does
	Text     string // why it has no effect or is refused, "" when there is nothing to say
	Pushed   bool   // taken from a server
	Client   bool   // may stand in a client's file
}

// Describe lists all options in alphabetical order, from the table that Parse uses.
func Describe() []Described {
	var all []Described
	for name, r := range table() {
		all = append(all, Described{name, r.min, r.max, r.effect, r.text, r.facts&(inPush|inRoutes) != 0, r.facts&inCCD != 0})
	}
	slices.SortFunc(all, func(a, b Described) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Rules of findings.
const (
	RuleSyntax        = "syntax"
	RuleUnknown       = "unknown"
	RuleDeprecated    = "deprecated"
	RuleIgnored       = "ignored"
	RuleInsecure      = "insecure"
	RuleContradiction = "contradiction"
	RuleFile          = "file"
	RuleNotice        = "notice" // a warning of no other kind
)

// Finding is something to say about a configuration.
type Finding struct {
	File    string // "" when it is about the whole
	Line    int    // from 1, 0 without a File
	Column  int    // from 1, 0 when it is not known
	Warning bool   // the daemon would start
	Rule    string
	Text    string
}

// Lint reads a command line as Parse does and goes on after mistakes. Findings are in the order of reading. The Options are nil when there
// are mistakes.
func Lint(args []string, env Env) (*Options, []Finding) {
	if env.Getenv == nil {
		env.Getenv = os.Getenv
	}
	l := &linter{lines: make(map[string][][]byte)}
	p := &parser{o: defaults(env.Getenv), env: env}
	p.fail = func(e *Error) error {
		l.mistake(e)
		return nil
	}
	p.c = &p.o.state.ce
	err := p.argv(args)
	for i, n := range p.o.Notes {
		at := Directive{}
		if len(p.noted) == len(p.o.Notes) {
			at = p.noted[i]
		}
		l.note(n, at)
	}
	read := len(p.o.Notes)
	for _, d := range p.o.directives {
		if r := table()[d.Name]; r != nil && r.effect == Ignored && r.text == "" {
			l.add(Finding{File: d.File, Line: d.Line, Warning: true, Rule: RuleIgnored, Text: "--" + d.Name + " has no effect here"})
		}
	}
	if err == nil && !l.failed { // checks of the whole make sense once every line could be read
		err = p.finish()
	}
	for _, n := range slices.Concat(p.o.Notes[min(read, len(p.o.Notes)):], p.o.Warnings) {
		l.note(n, Directive{})
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		l.mistake(e)
	case err != nil:
		l.add(Finding{Rule: RuleSyntax, Text: err.Error()})
	}
	if l.failed {
		return nil, l.found
	}
	return p.o, l.found
}

// linter collects findings.
type linter struct {
	found  []Finding
	failed bool
	lines  map[string][][]byte // of files, for columns
}

func (l *linter) add(f Finding) {
	if strings.HasPrefix(f.File, "[") {
		f.File, f.Line = "", 0
	}
	f.Column = l.column(f.File, f.Line)
	l.found = append(l.found, f)
	l.failed = l.failed || !f.Warning
}

// column is where the first word of a line begins.
func (l *linter) column(file string, line int) int {
	if file == "" || line < 1 {
		return 0
	}
	lines, ok := l.lines[file]
	if !ok {
		b, _ := os.ReadFile(file)
		lines = bytes.Split(b, []byte("\n"))
		l.lines[file] = lines
	}
	if line > len(lines) {
		return 0
	}
	return len(lines[line-1]) - len(bytes.TrimLeft(lines[line-1], " \t")) + 1
}

func (l *linter) mistake(e *Error) {
	for _, text := range append(slices.Clone(e.Before), e.Text) {
		if text == "" || strings.HasPrefix(text, "Please correct") {
			continue
		}
		text = strings.TrimPrefix(text, "Options error: ")
		f := Finding{File: e.File, Line: e.Line, Rule: RuleSyntax, Text: text}
		switch {
		case strings.Contains(text, "fails with '"):
			f.Rule = RuleFile
		case e.Option != "" && strings.HasPrefix(text, "Unrecognized option") && table()[e.Option] == nil:
			f.Rule, f.Text = RuleUnknown, "unknown option "+e.Option
			if near := nearest.Name(e.Option, slices.Sorted(maps.Keys(table())), 2); near != "" {
				f.Text += "; did you mean " + near + "?"
			}
		case e.Option != "" && strings.HasPrefix(text, "Unrecognized option"):
			f.Text = e.Option + ": missing or extra parameters"
		case e.Option == "":
			f.Rule = RuleContradiction
		}
		l.add(f)
	}
}

var (
	isDeprecated = regexp.MustCompile(`(?i)deprecat`)
	isIgnored    = regexp.MustCompile(`(?i)\bignored\b|no effect`)
	isInsecure   = regexp.MustCompile(`(?i)no server certificate verification|insecure|vulnerab|man-in-the-middle|not recommended|weak|cleartext|group or others accessible|disables? (authentication|encryption)|compression`)
)

// note is a warning of the daemon's log about a line, or about the whole.
func (l *linter) note(n Note, at Directive) {
	f := Finding{File: at.File, Line: at.Line, Warning: true, Rule: RuleNotice, Text: strings.TrimSpace(strings.TrimPrefix(n.Text, "WARNING: "))}
	switch {
	case isDeprecated.MatchString(n.Text):
		f.Rule = RuleDeprecated
	case isInsecure.MatchString(n.Text):
		f.Rule = RuleInsecure
	case isIgnored.MatchString(n.Text):
		f.Rule = RuleIgnored
	case n.Level.Flag() != "W":
		return // told, not warned of
	}
	l.add(f)
}
