package table

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// slimmest is the narrowest terminal that text is wrapped for, in columns.
const slimmest = 20

// Flow wraps help for a terminal of so many columns; 0 leaves it as it is. Lines of a paragraph flow together, and indented lines keep their
// columns: what follows the first gap of two blanks stays behind it.
func Flow(text string, width int) string {
	if width < slimmest {
		return text
	}
	lines := strings.Split(text, "\n")
	var b []string
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if flush(line) {
			end := i + 1
			for end < len(lines) && flush(lines[end]) {
				end++
			}
			if paragraph := lines[i:end]; tooWide(paragraph, width) {
				line = strings.Join(paragraph, " ")
				i = end - 1
			}
		}
		b = append(b, wrap(line, width))
	}
	return strings.Join(b, "\n")
}

// flush reports whether a line is one of a paragraph.
func flush(line string) bool { return line != "" && line[0] != ' ' && line[0] != '\t' }

func tooWide(lines []string, width int) bool {
	for _, l := range lines {
		if runewidth.StringWidth(l) > width {
			return true
		}
	}
	return false
}

// wrap breaks a line at blanks; its further rows begin below its text.
func wrap(line string, width int) string {
	if runewidth.StringWidth(line) <= width {
		return line
	}
	head := len(line) - len(strings.TrimLeft(line, " "))
	if gap := strings.Index(line[head:], "  "); head > 0 && gap > 0 {
		text := strings.TrimLeft(line[head+gap:], " ")
		if below := runewidth.StringWidth(line) - runewidth.StringWidth(text); below <= width/2 {
			rows := fold(text, width-below)
			return line[:len(line)-len(text)] + strings.Join(rows, "\n"+strings.Repeat(" ", below))
		}
	}
	indent := strings.Repeat(" ", head)
	rows := fold(line[head:], width-head-2)
	if head > 0 {
		return indent + strings.Join(rows, "\n"+indent+"  ")
	}
	return strings.Join(rows, "\n")
}

// fold breaks a text at blanks only: hyphens begin flags.
func fold(text string, width int) (rows []string) {
	row, columns := "", 0
	for word := range strings.FieldsSeq(text) {
		n := runewidth.StringWidth(word)
		if row != "" && columns+1+n > width {
			rows = append(rows, row)
			row, columns = "", 0
		}
		if row != "" {
			row, columns = row+" ", columns+1
		}
		row, columns = row+word, columns+n
	}
	return append(rows, row)
}
