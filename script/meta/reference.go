package meta

import (
	"fmt"
	"strings"
)

// Reference is a page of Markdown about every function, made from Types.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Reference of the Lua functions\n\nMade from `script/meta/moongate.lua` (`go test ./script -run Reference -update`). The guide is in [lua.md](lua.md).\n")
	var text, params, returns, fields []string
	class := ""
	flush := func() { text, params, returns = nil, nil, nil }
	for line := range strings.Lines(Types) {
		line = strings.TrimRight(line, "\n")
		rest, comment := strings.CutPrefix(line, "---")
		switch {
		case strings.HasPrefix(rest, "@class ") && comment:
			class, fields = strings.Fields(rest)[1], nil
		case strings.HasPrefix(rest, "@field ") && comment:
			fields = append(fields, row(strings.TrimPrefix(rest, "@field ")))
		case strings.HasPrefix(rest, "@param ") && comment:
			params = append(params, row(strings.TrimPrefix(rest, "@param ")))
		case strings.HasPrefix(rest, "@return ") && comment:
			returns = append(returns, "`"+strings.ReplaceAll(strings.TrimPrefix(rest, "@return "), "|", "\\|")+"`")
		case comment && !strings.HasPrefix(rest, "@") && !strings.HasPrefix(rest, "|"):
			text = append(text, rest)
		case strings.HasPrefix(line, "function "):
			call := strings.TrimSuffix(strings.TrimPrefix(line, "function "), " end")
			name, _, _ := strings.Cut(call, "(")
			fmt.Fprintf(&b, "\n## %s\n\n`%s`\n", name, call)
			if len(text) > 0 {
				fmt.Fprintf(&b, "\n%s\n", strings.Join(text, "\n"))
			}
			table(&b, "argument", params)
			if len(returns) > 0 {
				fmt.Fprintf(&b, "\nReturns %s.\n", strings.Join(returns, ", "))
			}
			flush()
		case line == "" || strings.HasPrefix(line, "local "):
			if class != "" && len(fields) > 0 {
				fmt.Fprintf(&b, "\n## %s\n", class)
				table(&b, "field", fields)
			}
			class, fields = "", nil
			flush()
		}
	}
	return b.String()
}

// row is NAME TYPE TEXT of an annotation, as a row of a table.
func row(s string) string {
	name, rest, _ := strings.Cut(s, " ")
	typ, text := splitType(rest)
	return fmt.Sprintf("| `%s` | `%s` | %s |", name, strings.ReplaceAll(typ, "|", "\\|"), text)
}

// splitType splits TYPE TEXT: a type may have blanks inside of brackets, and behind a colon.
func splitType(s string) (typ, text string) {
	depth := 0
	for i, c := range s {
		switch c {
		case '{', '(', '<':
			depth++
		case '}', ')', '>':
			depth--
		case ' ':
			if depth == 0 && !strings.HasSuffix(s[:i], ":") {
				return s[:i], strings.TrimSpace(s[i:])
			}
		}
	}
	return s, ""
}

func table(b *strings.Builder, head string, rows []string) {
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n| %s | type | |\n|---|---|---|\n%s\n", head, strings.Join(rows, "\n"))
	}
}
