package config

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/moongate-vpn/moongate/daemon/internal/bounded"
)

const (
	maxLine  = 256 // bytes of a line with its newline, plus one
	maxDepth = 10  // files that include each other
)

// lines reads an option file line by line.
type lines struct {
	r    *bufio.Reader
	name string
	n    int  // number of the line that was read last
	raw  bool // within a block, where lines may have any length
}

func newLines(r io.Reader, name string) *lines { return &lines{r: bufio.NewReader(r), name: name} }

// next returns the next line with its newline, or io.EOF.
func (l *lines) next() (string, error) {
	var b strings.Builder
	for {
		part, err := l.r.ReadSlice('\n')
		b.Write(part)
		switch {
		case err == nil, errors.Is(err, io.EOF) && b.Len() > 0:
			l.n++
			text := b.String()
			if l.n == 1 {
				text = strings.TrimPrefix(text, "\ufeff")
			}
			if n := len(strings.TrimSuffix(text, "\n")); !l.raw && (n >= maxLine || n >= maxLine-1 && n < len(text)) {
				return "", l.tooLong(text)
			}
			return text, nil
		case errors.Is(err, bufio.ErrBufferFull):
			if !l.raw && b.Len() > maxLine {
				l.n++
				for errors.Is(err, bufio.ErrBufferFull) { // its end is no line of its own
					_, err = l.r.ReadSlice('\n')
				}
				return "", l.tooLong(b.String())
			}
			if b.Len() > maxBlock {
				l.n++
				return "", errorf("In %s:%d: block of more than %d bytes", l.name, l.n, maxBlock)
			}
		case errors.Is(err, io.EOF):
			return "", io.EOF
		default:
			return "", fatalf("read %s: %v", l.name, err)
		}
	}
}

// maxBlock bounds a block, which is kept in memory: far more than any key, certificate or list of revocations needs.
const maxBlock = 16 << 20

func (l *lines) tooLong(text string) error {
	e := errorf("In %s:%d: Maximum option line length (%d) exceeded, line starts with %s", l.name, l.n, maxLine, text[:maxLine-1])
	e.File, e.Line = l.name, l.n
	return e
}

// block returns the lines up to the end tag.
func (l *lines) block(tag string) (string, error) {
	end := "</" + tag + ">"
	var b strings.Builder
	l.raw = true
	defer func() { l.raw = false }()
	for {
		text, err := l.next()
		if errors.Is(err, io.EOF) {
			return "", fatalf("ERROR: Endtag %s missing", end)
		}
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(strings.TrimLeft(text, " \t\n\v\f\r"), end) {
			return b.String(), nil
		}
		if b.WriteString(text); b.Len() > maxBlock {
			return "", errorf("In %s:%d: block of more than %d bytes", l.name, l.n, maxBlock)
		}
	}
}

// blockTag returns the tag of a line that opens a block.
func blockTag(words []string) (string, bool) {
	if len(words) != 1 {
		return "", false
	}
	w := words[0]
	if len(w) > 2 && w[0] == '<' && w[len(w)-1] == '>' {
		return w[1 : len(w)-1], true
	}
	return "", false
}

// read applies the lines of a file. What p.fail makes of an error decides whether the rest is read.
func (p *parser) read(r io.Reader, name string) error {
	l := newLines(r, name)
	for {
		text, err := l.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = p.readLine(l, text)
		}
		var e *Error
		if errors.As(err, &e) {
			if e.File == "" {
				e.File, e.Line = name, l.n
			}
			err = p.fail(e)
		}
		if err != nil {
			return err
		}
	}
}

func (p *parser) readLine(l *lines, text string) error {
	words, err := p.split(text, l.name, l.n)
	if err != nil || len(words) == 0 {
		return err
	}
	d := Directive{Name: words[0], Params: words[1:], File: l.name, Line: l.n}
	if len(d.Name) > 2 {
		d.Name = strings.TrimPrefix(d.Name, "--")
		words[0] = d.Name
	}
	if tag, ok := blockTag(words); ok {
		body, err := l.block(tag)
		if err != nil {
			return err
		}
		d.Name, d.Params, d.Inline = tag, []string{body}, true
	}
	return p.apply(d)
}

// include reads the file of a config option.
func (p *parser) include(d Directive) error {
	path := d.Params[0]
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		e := errorf("In %s:%d: Maximum recursive include levels exceeded in include attempt of file %s -- probably you have a "+
			"configuration file that tries to include itself.", d.File, d.Line, path)
		e.File, e.Line, e.Option = d.File, d.Line, d.Name
		return e
	}
	if path == "stdin" {
		p.o.state.configStdin = true
		r := p.env.Stdin
		if r == nil {
			r = os.Stdin
		}
		return p.read(r, path)
	}
	b, err := bounded.ReadFile(path, maxSource)
	if errors.Is(err, syscall.EISDIR) {
		p.warn("WARNING: config %s: it is a folder, and nothing of it is read", path)
		return nil
	}
	if err != nil {
		e := errorf("In %s:%d: Error opening configuration file: %s", d.File, d.Line, path)
		e.File, e.Line, e.Option = d.File, d.Line, d.Name
		return e
	}
	if p.o.Config == "" && p.ctx == mainContext {
		p.o.Config = path
	}
	return p.read(bytes.NewReader(b), path)
}
