package config

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
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
	Option  string // the name that no option has, of RuleUnknown
}

// Problem is a finding of a Look. Lint finds its place.
type Problem struct {
	Finding        // with File and Line only for a file that no configuration includes
	Option  string // whose line it is about, "" for the whole
	Word    string // of that line, "" for the option itself
}

// Look looks behind the lines, at what files hold for example. What could not be read is missing in o. Relative paths are those of the
// configuration, behind its cd.
type Look func(o *Options) []Problem

// Lint reads a command line as Parse does and goes on after mistakes, and then lets looks look further. Findings are in the order of files
// and lines. The Options are nil when there are mistakes.
//
// A check of the whole ends at the first contradiction, so Lint leaves out the line that is to blame and reads again, until nothing
// new is found. What is only wrong because a line was left out is not told.
func Lint(args []string, env Env, looks ...Look) (*Options, []Finding) {
	if env.Getenv == nil {
		env.Getenv = os.Getenv
	}
	if env.Stdin == nil {
		env.Stdin = os.Stdin
	}
	l := &linter{looks: looks, lines: make(map[string][][]byte), left: make(map[place]bool), names: make(map[string]bool), told: make(map[Finding]bool)}
	folder, _ := os.Getwd()
	back := func() { _ = os.Chdir(folder) } // cd moves the process
	defer back()
	l.folder = folder
	var read bytes.Buffer // of standard input, for the next pass
	stdin := env.Stdin
	for {
		env.Stdin = io.MultiReader(bytes.NewReader(bytes.Clone(read.Bytes())), io.TeeReader(stdin, &read))
		o, again := l.pass(args, env)
		if again && len(l.left) < maxLeft {
			back()
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
	p.seen = &l.read
	l.read = nil
	if err := p.argv(args); err != nil {
		l.stopped(err)
		return p.o, false
	}
	for i, n := range p.o.Notes {
		l.note(n, p.noted[i])
	}
	read := len(p.o.Notes)
	for _, d := range l.read {
		if r := table()[d.Name]; r != nil && r.effect == Ignored && r.text == "" {
			l.add(Finding{File: d.File, Line: d.Line, Warning: true, Rule: RuleIgnored, Text: "--" + d.Name + " has no effect here"})
		}
		l.leaving(d)
	}
	l.addresses()
	if l.finish(p) {
		return p.o, true
	}
	for i, n := range slices.Concat(p.o.Notes[read:], p.o.Warnings) {
		at := Directive{}
		if read+i < len(p.noted) && p.noted[read+i].File == "" { // about a file of this option
			at = l.of(p.noted[read+i])
		} else {
			at = l.locate(n.Text)
		}
		if (at.Name != "" || len(l.names) == 0) && !l.follows(n.Text) { // else a line may be missing for its mistake
			l.note(n, at)
		}
	}
	for _, look := range slices.Concat([]Look{lookAtRoutes, lookAtPushes, lookAtClientFiles, lookAtPaths}, l.looks) {
		for _, f := range look(p.o) {
			l.problem(f)
		}
	}
	return p.o, false
}

// finish takes all steps that make complete options. It reports whether a line was left out, so that more can be found without it.
func (l *linter) finish(p *parser) (again bool) {
	done, err := p.begin()
	if err == nil && done {
		return false
	}
	if err != nil {
		l.stopped(err)
		return false
	}
	for _, step := range finishing {
		err := step(p)
		if err == nil {
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.File != "" {
			l.stopped(err)
			return false
		}
		if l.whole(e) {
			return true
		}
		if len(p.o.Connections) == 0 {
			return false // the other steps need them
		}
	}
	return false
}

// follows reports whether a text names an option that could not be read.
func (l *linter) follows(text string) bool {
	return slices.ContainsFunc(optionsIn(text), func(name string) bool {
		for have := range l.names {
			if calls(name, have) {
				return true
			}
		}
		return false
	})
}

// leaving tells an option that is on its way out, unless the daemon says so itself.
func (l *linter) leaving(d Directive) {
	r, do := table()[d.Name], instead[d.Name]
	if r == nil || r.effect == Refused || do == "" || l.hasDeprecated(d) {
		return
	}
	l.add(Finding{File: d.File, Line: d.Line, Warning: true, Rule: RuleDeprecated, Text: d.Name + " is deprecated: " + do})
}

// hasDeprecated reports whether a line was called deprecated.
func (l *linter) hasDeprecated(d Directive) bool {
	return d.Line > 0 && slices.ContainsFunc(l.found, func(f Finding) bool { return f.Rule == RuleDeprecated && f.File == d.File && f.Line == d.Line })
}

// tells reports whether a text says what to do.
func tells(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc([]string{"use ", "instead", "replaced", "remove it"}, func(s string) bool { return strings.Contains(text, s) })
}

// implied are the options that others stand for.
var implied = map[string][]string{"server": {"mode", "tls-server"}, "server-bridge": {"mode", "tls-server"}, "client": {"pull", "tls-client"}}

// stopped tells an error behind which nothing can be read.
func (l *linter) stopped(err error) {
	var e *Error
	if errors.As(err, &e) {
		l.mistake(e)
		return
	}
	l.add(Finding{Rule: RuleSyntax, Text: err.Error()})
}

// problem tells what a look has found.
func (l *linter) problem(f Problem) {
	if f.File == "" && f.Option != "" {
		d := l.of(Directive{Name: f.Option, Params: []string{f.Word}})
		if d.Name == "" {
			return // the environment has set it, or another option
		}
		f.File, f.Line = d.File, d.Line
	}
	l.addAt(f.Finding, f.Word)
}

// place is a line of a file, or an option of the command line.
type place struct {
	file   string
	line   int
	option string
}

// linter collects findings.
type linter struct {
	looks  []Look
	folder string      // relative to which the command line names files
	read   []Directive // in the last pass
	found  []Finding
	failed bool
	told   map[Finding]bool
	lines  map[string][][]byte // of files, for columns
	left   map[place]bool      // lines that later passes leave out
	names  map[string]bool     // options that could not be read or are left out
}

func (l *linter) add(f Finding) { l.addAt(f, "") }

// addAt adds a finding about a word of its line.
func (l *linter) addAt(f Finding, word string) {
	if strings.HasPrefix(f.File, "[") {
		f.File, f.Line = "", 0
	}
	f.Column = l.column(f, word)
	if l.told[f] {
		return
	}
	l.told[f] = true
	l.found = append(l.found, f)
	l.failed = l.failed || !f.Warning
}

// whole tells a mistake that a check of the whole has found, with the line that is to blame where one is, and reports whether to look
// further without that line.
func (l *linter) whole(e *Error) (again bool) {
	texts := slices.DeleteFunc(append(slices.Clone(e.Before), e.Text), func(s string) bool { return s == "" || strings.HasPrefix(s, "Please correct") })
	for _, text := range texts {
		at := l.locate(text)
		if e.About != "" {
			at = l.of(Directive{Name: e.About, Params: []string{""}})
		}
		follows := l.follows(text)
		if at.Name != "" {
			l.left[place{at.File, at.Line, at.Name}], again = true, true
		}
		if follows || len(l.names) > 0 && at.Name == "" {
			continue // the consequence of what could not be read, or may be
		}
		for _, word := range append([]string{e.Word}, e.More...) {
			one := *e
			one.Word = word
			l.mistake(&Error{File: at.File, Line: at.Line, Text: suggest(text, &one), Word: word})
		}
		if at.Name != "" {
			l.names[at.Name] = true
		}
		for _, name := range implied[at.Name] {
			l.names[name] = true
		}
	}
	return again
}

// failsWith is in messages about files.
const failsWith = "fails with '"

// mistake tells what is wrong with a line, or with the whole.
func (l *linter) mistake(e *Error) {
	for _, text := range append(slices.Clone(e.Before), e.Text) {
		if text == "" || strings.HasPrefix(text, "Please correct") {
			continue
		}
		text = remedied(strings.TrimPrefix(text, "Options error: "))
		f := Finding{File: e.File, Line: e.Line, Rule: RuleSyntax, Text: text}
		switch {
		case strings.Contains(text, failsWith):
			f.Rule, f.Text = RuleFile, text+advice(text)
		case e.Option != "" && strings.HasPrefix(text, unrecognized) && table()[e.Option] == nil:
			f.Rule, f.Text, f.Option = RuleUnknown, unknown(e.Option), e.Option
			if near := Nearest(e.Option); near != "" {
				l.names[near] = true
			}
		case e.Option != "" && strings.HasPrefix(text, unrecognized):
			f.Text = "wrong number of parameters: " + takes(table()[e.Option], l.given(e))
		case e.Option == "":
			f.Rule = RuleContradiction
		}
		if do := instead[e.Option]; do != "" && f.Rule == RuleSyntax && table()[e.Option].effect == Refused && !tells(text) {
			f.Text = strings.TrimSuffix(text, ".") + "; " + do
		}
		l.addAt(f, e.Word)
	}
}

var (
	isDeprecated = regexp.MustCompile(`(?i)deprecat|\brenamed\b`)
	isIgnored    = regexp.MustCompile(`(?i)\bignored\b|no effect`)
	isInsecure   = regexp.MustCompile(`(?i)no server certificate verification|insecure|vulnerab|man-in-the-middle|not recommended|weak|cleartext|group or others accessible|disables? (authentication|encryption)|compression`)
)

// note is a warning of the daemon's log about a line, or about the whole.
func (l *linter) note(n Note, at Directive) {
	f := Finding{File: at.File, Line: at.Line, Warning: true, Rule: RuleNotice, Text: remedied(strings.TrimSpace(strings.TrimPrefix(n.Text, "WARNING: ")))}
	if do, r := instead[at.Name], table()[at.Name]; do != "" && r != nil && r.effect == Ignored && !l.hasDeprecated(at) {
		f.Rule = RuleDeprecated
		if !tells(n.Text) {
			f.Text = strings.TrimSuffix(f.Text, ".") + "; " + do
		}
		l.add(f)
		return
	}
	switch {
	case strings.HasPrefix(n.Text, unrecognized): // and passed over, as setenv opt or ignore-unknown-option asks
		_, name, _ := strings.Cut(n.Text, ": ")
		name, _, _ = strings.Cut(name, " (")
		f.Rule, f.Text = RuleIgnored, name+" is no option here and passed over"
	case isDeprecated.MatchString(n.Text):
		f.Rule = RuleDeprecated
		if l.hasDeprecated(at) {
			return
		}
		if do := instead[at.Name]; do != "" && !tells(n.Text) {
			f.Text = strings.TrimSuffix(f.Text, ".") + "; " + do
		}
	case isInsecure.MatchString(n.Text):
		f.Rule = RuleInsecure
	case isIgnored.MatchString(n.Text):
		f.Rule = RuleIgnored
	case n.Level.Flag() != "W":
		return // told, not warned of
	}
	l.add(f)
}
