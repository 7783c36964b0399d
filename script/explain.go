package script

import (
	"fmt"
	"regexp"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/script/lib"
)

var (
	indexed  = regexp.MustCompile(`(?s)^attempt to index a non-table object\((\w+)\) with key '(.*?)'?$`)
	object   = regexp.MustCompile(`([A-Za-z_][\w.]*(?:\([^()]*\))?)\s*[.:]\s*$`)
	literals = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	calls    = regexp.MustCompile(`([A-Za-z_][\w.]*(?::\w+)?)\s*[({"']`)
)

// explain names what an error of gopher-lua is about, as far as the line of the source tells.
func (r *runtime) explain(e *Error) {
	line := ""
	if lines := r.sources[baseName(e.File)]; e.Line >= 1 && e.Line <= len(lines) && len(lines[e.Line-1]) <= maxLine {
		line = lines[e.Line-1]
	}
	if m := indexed.FindStringSubmatch(e.Text); m != nil {
		name := ""
		for at, rest := 0, line; name == ""; {
			i := strings.Index(rest, m[2])
			if m[2] == "" || i < 0 {
				break
			}
			at += i + len(m[2])
			if o := object.FindStringSubmatch(line[:at-len(m[2])]); o != nil && !continues(line[at:]) {
				name = o[1] + ", which is "
			}
			rest = line[at:]
		}
		e.Text = fmt.Sprintf("attempt to index %s%s, with key '%s'", name, m[1], lib.Short(m[2]))
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

// maxLine is the longest line of a source that is looked at for an explanation, in bytes.
const maxLine = 1000

// continues reports whether a name goes on in text.
func continues(text string) bool {
	return text != "" && (text[0] == '_' || text[0] >= '0' && text[0] <= '9' || text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z')
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
