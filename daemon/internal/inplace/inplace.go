// Package inplace rewrites files that cannot be replaced by another: they are open since before privileges were given up, are mounted into a
// container, or have readers that hold them open.
package inplace

import (
	"errors"
	"io"
)

// File is the part of *os.File that Rewrite uses.
type File interface {
	io.WriterAt
	Truncate(size int64) error
}

// Rewrite makes text the content of a file whose content is old. When text cannot be written as a whole, for example on a full disk, the file holds
// old again: its blocks are there already.
func Rewrite(f File, old, text []byte) error {
	_, err := f.WriteAt(text, 0)
	if err == nil {
		return f.Truncate(int64(len(text)))
	}
	_, back := f.WriteAt(old, 0)
	return errors.Join(err, back, f.Truncate(int64(len(old))))
}
