package script

import (
	"fmt"
	"regexp"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var (
	indexed  = regexp.MustCompile(`^attempt to index a non-table object\((\w+)\) with key '(.*)'$`)
	literals = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	calls    = regexp.MustCompile(`([A-Za-z_][\w.]*(?::\w+)?)\s*[({"']`)
)

// explain names what an error of gopher-lua is about, as far as the line of the source tells.
func (r *runtime) explain(e *Error) {
	line := ""
	if lines := r.sources[baseName(e.File)]; e.Line >= 1 && e.Line <= len(lines) {
		line = lines[e.Line-1]
	}
	if m := indexed.FindStringSubmatch(e.Text); m != nil {
		name := ""
		if o := regexp.MustCompile(`([A-Za-z_][\w.]*(?:\([^()]*\))?)\s*[.:]\s*` + regexp.QuoteMeta(m[2]) + `\b`).FindStringSubmatch(line); o != nil {
			name = o[1] + ", which is "
		}
		e.Text = fmt.Sprintf("attempt to index %s%s, with key '%s'", name, m[1], m[2])
		return
	}
	if e.Text != "attempt to call a non-function object" {
		return
	}
	var candidates []string
	line = literals.ReplaceAllString(line, `""`)
	for _, m := range calls.FindAllStringSubmatch(line, -1) {
		switch m[1] {
		case "if", "while", "until", "and", "or", "not", "return", "function", "in", "elseif":
			continue
		}
		if r.missing(m[1]) {
			candidates = append(candidates, m[1])
		}
	}
	e.Text = "attempt to call something that is no function"
	if len(candidates) > 0 {
		e.Text = fmt.Sprintf("attempt to call %s, which is no function", strings.Join(candidates, " or "))
	}
}

// missing reports whether name, a path of fields from a global, may be nothing that can be called. What begins with a local is not known.
func (r *runtime) missing(name string) bool {
	var v lua.LValue = r.L.G.Global
	for part := range strings.FieldsFuncSeq(name, func(c rune) bool { return c == '.' || c == ':' }) {
		t, ok := v.(*lua.LTable)
		if !ok {
			return true
		}
		v = t.RawGetString(part)
	}
	_, is := v.(*lua.LFunction)
	return !is
}
