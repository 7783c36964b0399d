package config

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/lexer"
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

// Lint reads a command line as Parse does and goes on after mistakes. Findings are in the order of files and lines. The Options are nil when there
// are mistakes.
//
// A check of the whole ends at the first contradiction, so Lint leaves out the line that is to blame and reads again, until nothing
// new is found. What is only wrong because a line was left out is not told.
func Lint(args []string, env Env) (*Options, []Finding) {
	if env.Getenv == nil {
		env.Getenv = os.Getenv
	}
	if env.Stdin == nil {
		env.Stdin = os.Stdin
	}
	l := &linter{lines: make(map[string][][]byte), left: make(map[place]bool), names: make(map[string]bool), told: make(map[Finding]bool)}
	folder, _ := os.Getwd()
	var read bytes.Buffer // of standard input, for the next pass
	stdin := env.Stdin
	for {
		env.Stdin = io.MultiReader(bytes.NewReader(bytes.Clone(read.Bytes())), io.TeeReader(stdin, &read))
		o, again := l.pass(args, env)
		if again && len(l.left) < maxLeft {
			_ = os.Chdir(folder) // cd has its effect again
			continue
		}
		l.sort()
		if l.failed {
			return nil, l.found
		}
		return o, l.found
	}
}

// sort puts the findings in the order of the files and lines, and last those about the whole.
func (l *linter) sort() {
	first := make(map[string]int)
	for i, f := range l.found {
		if _, ok := first[f.File]; !ok {
			first[f.File] = i
		}
	}
	first[""] = len(l.found)
	slices.SortStableFunc(l.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(first[a.File], first[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// maxLeft bounds the lines that Lint leaves out one after another.
const maxLeft = 100

// pass reads everything once. It reports whether another pass, without one line more, may find more.
func (l *linter) pass(args []string, env Env) (o *Options, again bool) {
	p := &parser{o: defaults(env.Getenv), env: env}
	p.skip = func(d Directive) bool { return l.left[place{d.File, d.Line, d.Name}] }
	p.fail = func(e *Error) error {
		l.names[e.Option] = true
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
	l.ports(p.o.directives)
	if err == nil {
		if err = p.finish(); err == nil {
			for _, n := range slices.Concat(p.o.Notes[min(read, len(p.o.Notes)):], p.o.Warnings) {
				l.note(n, Directive{})
			}
			return p.o, false
		}
	}
	var e *Error
	if !errors.As(err, &e) {
		l.add(Finding{Rule: RuleSyntax, Text: err.Error()})
		return p.o, false
	}
	if e.File != "" {
		l.mistake(e)
		return p.o, false
	}
	if l.whole(e, p.o.directives) {
		return p.o, true
	}
	if e, ok := p.checkFiles().(*Error); ok { //nolint:errorlint // made by us, never wrapped
		l.whole(e, p.o.directives)
	}
	return p.o, false
}

// portAt is which parameter of an option is a port.
var portAt = map[string]int{"port": 0, "lport": 0, "rport": 0, "remote": 1, "local": 1}

// ports tells the ports that no address can have. A daemon finds out when it resolves the address, and then tries again for ever.
func (l *linter) ports(read []Directive) {
	for _, d := range read {
		i, ok := portAt[d.Name]
		if !ok || i >= len(d.Params) {
			continue
		}
		if _, err := net.LookupPort("udp", d.Params[i]); err != nil {
			if _, err := net.LookupPort("tcp", d.Params[i]); err != nil {
				l.add(Finding{File: d.File, Line: d.Line, Rule: RuleSyntax, Text: "no port and no service has the name '" + d.Params[i] + "'"})
			}
		}
	}
}

// place is a line of a file, or an option of the command line.
type place struct {
	file   string
	line   int
	option string
}

// linter collects findings.
type linter struct {
	found  []Finding
	failed bool
	told   map[Finding]bool
	lines  map[string][][]byte // of files, for columns
	left   map[place]bool      // lines that later passes leave out
	names  map[string]bool     // options that could not be read or are left out
}

func (l *linter) add(f Finding) {
	if strings.HasPrefix(f.File, "[") {
		f.File, f.Line = "", 0
	}
	f.Column = l.column(f)
	if l.told[f] {
		return
	}
	l.told[f] = true
	l.found = append(l.found, f)
	l.failed = l.failed || !f.Warning
}

// named finds the options that a message is about.
var named = regexp.MustCompile(`--([a-z][a-z0-9-]*[a-z0-9])`)

// whole tells a mistake that a check of the whole has found, with the line that is to blame where one is, and reports whether to look
// further without that line.
func (l *linter) whole(e *Error, read []Directive) (again bool) {
	texts := slices.DeleteFunc(append(slices.Clone(e.Before), e.Text), func(s string) bool { return s == "" || strings.HasPrefix(s, "Please correct") })
	for _, text := range texts {
		var at Directive
		follows := false
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			follows = follows || l.names[m[1]]
			if i := slices.IndexFunc(read, func(d Directive) bool { return d.Name == m[1] }); i >= 0 && at.Name == "" {
				at = read[i]
			}
		}
		if at.Name != "" {
			l.left[place{at.File, at.Line, at.Name}], again = true, true
		}
		if follows || l.failed && at.Name == "" {
			continue // the consequence of what could not be read, or may be
		}
		l.mistake(&Error{File: at.File, Line: at.Line, Text: text})
		l.names[at.Name] = true
	}
	return again
}

// column is where the word begins that a finding is about: the first parameter that its text quotes, the first that is too many, or
// the option; 0 when the line is not known.
func (l *linter) column(f Finding) int {
	if f.File == "" || f.Line < 1 {
		return 0
	}
	lines, ok := l.lines[f.File]
	if !ok {
		b, _ := os.ReadFile(f.File)
		lines = bytes.Split(b, []byte("\n"))
		l.lines[f.File] = lines
	}
	if f.Line > len(lines) {
		return 0
	}
	line := string(lines[f.Line-1])
	first := len(line) - len(strings.TrimLeft(line, " \t")) + 1
	words, err := lexer.Split(line, "")
	if err != nil || len(words) == 0 {
		return first
	}
	extra := -1
	if r := table()[words[0]]; r != nil && len(words)-1 > r.max {
		extra = r.max + 1
	}
	at := 0
	for i, w := range words {
		next := strings.Index(line[at:], w)
		if next < 0 {
			return first // written with escapes
		}
		at += next
		if i > 0 && (i == extra || extra < 0 && quotes(f.Text, w)) {
			return at + 1
		}
		at += len(w)
	}
	return first
}

// quotes reports whether a text has a word that stands alone.
func quotes(text, word string) bool {
	const around = " '\",.;:()"
	for rest := text; word != ""; {
		i := strings.Index(rest, word)
		if i < 0 {
			return false
		}
		before, after := rest[:i], rest[i+len(word):]
		if (before == "" || strings.ContainsAny(before[len(before)-1:], around)) && (after == "" || strings.ContainsAny(after[:1], around)) {
			return true
		}
		rest = rest[i+len(word):]
	}
	return false
}

// failsWith is in messages about files.
const failsWith = "fails with '"

// mistake tells what is wrong with a line, or with the whole.
func (l *linter) mistake(e *Error) {
	for _, text := range append(slices.Clone(e.Before), e.Text) {
		if text == "" || strings.HasPrefix(text, "Please correct") {
			continue
		}
		text = strings.TrimPrefix(text, "Options error: ")
		f := Finding{File: e.File, Line: e.Line, Rule: RuleSyntax, Text: text}
		switch {
		case strings.Contains(text, failsWith):
			f.Rule = RuleFile
		case e.Option != "" && strings.HasPrefix(text, "Unrecognized option") && table()[e.Option] == nil:
			f.Rule, f.Text = RuleUnknown, "unknown option "+e.Option
			if near := nearest.Name(e.Option, slices.Sorted(maps.Keys(table())), 2); near != "" {
				l.names[near] = true
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
