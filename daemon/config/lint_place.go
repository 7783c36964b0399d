package config

import (
	"bytes"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// named finds the options that a message is about.
var named = regexp.MustCompile(`--([a-z][a-z0-9-]*[a-z0-9])`)

// optionsIn are the options that a text names, with their dashes.
func optionsIn(text string) (names []string) {
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// locate finds the line that a text is about: of the first option that it names and that was given, the line that has a parameter which the text
// quotes, or the first; without an option the line with a file that it quotes. The zero Directive is none.
func (l *linter) locate(text string) Directive {
	if strings.HasPrefix(text, "--management is not specified") { // an option that is about it is too much
		if i := slices.IndexFunc(l.read, func(d Directive) bool { return strings.HasPrefix(d.Name, "management-") }); i >= 0 {
			return l.read[i]
		}
	}
	for _, name := range optionsIn(text) {
		var at Directive
		for _, d := range l.read {
			switch {
			case !calls(name, d.Name):
			case !d.Inline && slices.ContainsFunc(d.Params, func(w string) bool { return quotes(text, w) }):
				return d
			case at.Name == "":
				at = d
			}
		}
		if at.Name != "" {
			return at
		}
	}
	for _, d := range l.read {
		if !d.Inline && slices.ContainsFunc(d.Params, func(w string) bool { return w != "" && strings.Contains(text, "file '"+w+"'") }) {
			return d
		}
	}
	return Directive{}
}

// of finds the last line of an option with its first parameter, or else its last line.
func (l *linter) of(d Directive) (at Directive) {
	for _, r := range l.read {
		switch {
		case !calls(d.Name, r.Name):
		case slices.Contains(r.Params, d.Params[0]):
			at = r
		case !slices.Contains(at.Params, d.Params[0]):
			at = r
		}
	}
	return at
}

// given counts the parameters of the line that an error is about.
func (l *linter) given(e *Error) int {
	line, _ := l.line(e.File, e.Line)
	words, _ := lexer.Split(line, "")
	return max(len(words)-1, 0)
}

// column is where the word begins that a finding is about: the one that is given, the first parameter that its text quotes, or a part of one, the first
// that is too many, or the option; 0 when the line is not known.
func (l *linter) column(f Finding, word string) int {
	line, ok := l.line(f.File, f.Line)
	if !ok {
		return 0
	}
	first := len(line) - len(strings.TrimLeft(line, " \t")) + 1
	words, err := lexer.Split(line, "")
	if err != nil || len(words) == 0 {
		return first
	}
	extra := len(words)
	if r := table()[strings.TrimPrefix(words[0], "--")]; r != nil && len(words)-1 > r.max {
		extra = r.max + 1
	}
	at, starts := 0, make([]int, len(words))
	for i, w := range words {
		next := strings.Index(line[at:], w)
		if next < 0 {
			return first // written with escapes
		}
		starts[i] = at + next + 1
		at += next + len(w)
	}
	switch {
	case f.Rule == RuleUnknown:
		return starts[0]
	case extra < len(words):
		return starts[extra]
	}
	for i, w := range words[1:] {
		if w == word || word == "" && quotes(f.Text, w) {
			return starts[i+1]
		}
	}
	for i, w := range words[1:] { // names in lists, options in what is pushed
		for at, part := range parts(w) {
			if part == word || word == "" && len(part) < len(w) && strings.Contains(f.Text, "'"+part+"'") {
				return starts[i+1] + at
			}
		}
	}
	if n := blamed(f, len(words)-1); n > 0 {
		return starts[n]
	}
	return first
}

var (
	aboutValue  = regexp.MustCompile(`\b(must be|needs to be|[Bb]ad|[Ii]nvalid|[Uu]nknown|want)\b`)
	aboutSecond = regexp.MustCompile(`\bsecond par(ameter|am|m)\b`)
)

// blamed is the number of the parameter that a text is about without quoting it, 0 for none.
func blamed(f Finding, params int) int {
	switch {
	case f.Rule == RuleFile && params > 0:
		return 1
	case f.Rule != RuleSyntax:
		return 0
	case params > 1 && aboutSecond.MatchString(f.Text):
		return 2
	case params == 1 && aboutValue.MatchString(f.Text):
		return 1
	}
	return 0
}

// parts are the parts of a parameter with where they begin.
func parts(w string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for at := 0; at < len(w); {
			n := strings.IndexAny(w[at:], ": ,")
			if n < 0 {
				n = len(w) - at
			}
			if n > 0 && !yield(at, w[at:at+n]) {
				return
			}
			at += n + 1
		}
	}
}

// line is a line of a file.
func (l *linter) line(file string, n int) (string, bool) {
	if file == "" || n < 1 {
		return "", false
	}
	lines, ok := l.lines[file]
	if !ok {
		path := file
		if !filepath.IsAbs(path) {
			path = filepath.Join(l.folder, path) // cd may have moved the process
		}
		b, _ := os.ReadFile(path)
		lines = bytes.Split(bytes.TrimPrefix(b, bom), []byte("\n"))
		l.lines[file] = lines
	}
	if n > len(lines) {
		return "", false
	}
	return string(lines[n-1]), true
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
