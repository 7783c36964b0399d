// Package pemtext finds PEM blocks in files as people's tools and editors leave them.
package pemtext

import (
	"bytes"
	"encoding/pem"
	"iter"
)

// Blocks are the PEM blocks of a text. A byte order mark before a block is passed over, as are bytes outside of ASCII at the
// ends of lines: the no-break spaces that come with a block copied from a page or a document.
func Blocks(text []byte) iter.Seq[*pem.Block] {
	text = clean(text)
	return func(yield func(*pem.Block) bool) {
		for b, rest := pem.Decode(text); b != nil && yield(b); b, rest = pem.Decode(rest) {
		}
	}
}

// First returns the first block that is wanted, nil without one.
func First(text []byte, wanted func(label string) bool) *pem.Block {
	for b := range Blocks(text) {
		if wanted(b.Type) {
			return b
		}
	}
	return nil
}

// clean returns text itself when it is ASCII, as nearly all are.
func clean(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
		return text
	}
	text = bytes.ReplaceAll(text, []byte("\ufeff-----BEGIN"), []byte("-----BEGIN"))
	out := make([]byte, 0, len(text))
	for line := range bytes.Lines(text) {
		content, ended := bytes.CutSuffix(line, []byte("\n"))
		n := len(content)
		for n > 0 && (content[n-1] >= 0x80 || content[n-1] <= ' ') {
			n--
		}
		if out = append(out, content[:n]...); ended {
			out = append(out, '\n')
		}
	}
	return out
}
