package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/moongate-vpn/moongate/daemon/internal/bounded"
	"github.com/moongate-vpn/moongate/mgmt/secret"
)

// Source is the content of an option that names a file or carries a block.
type Source struct {
	Path   string // file; empty for a block
	Inline []byte // content of a block; nil for a file
	Held   []byte // content of a file that is not read again; nil: Load reads it
}

// Set reports whether the option was given.
func (s Source) Set() bool { return s.Path != "" || s.Inline != nil }

// IsInline reports whether the content came with the configuration.
func (s Source) IsInline() bool { return s.Inline != nil }

// bom is the byte order mark that some editors put before a text. No binary file that is read begins so.
var bom = []byte("\ufeff")

// Load returns the content, without a byte order mark. The caller must not write to it.
func (s Source) Load() ([]byte, error) {
	if s.Inline != nil {
		return s.Inline, nil
	}
	if s.Held != nil {
		return s.Held, nil
	}
	b, err := bounded.ReadFile(s.Path, maxSource)
	switch {
	case errors.Is(err, bounded.ErrLong):
		return nil, fmt.Errorf("read %s: larger than %d MB, which no file of keys, certificates or passwords is", s.Path, maxSource>>20)
	case err != nil:
		return nil, &fs.PathError{Op: "read", Path: s.Path, Err: Cause(err)}
	}
	return bytes.TrimPrefix(b, bom), nil
}

// Cause is an error about a file without what was done to which file.
func Cause(err error) error {
	var path *fs.PathError
	for errors.As(err, &path) {
		err = path.Err
	}
	return err
}

// Reference returns the reference to a secret that stands in place of a file's name (see mgmt/secret), "" for files and blocks. An existing
// file of that very name wins, because stock reads that file.
func (s Source) Reference() string {
	if s.Inline != nil || s.Held != nil || !secret.IsRef(s.Path) {
		return ""
	}
	if _, err := os.Lstat(s.Path); err == nil {
		return ""
	}
	return s.Path
}

// LoadSecret is Load for the options that take a reference to a secret as well: all its lines, within ten seconds.
func (s Source) LoadSecret(ctx context.Context) ([]byte, error) {
	ref := s.Reference()
	if ref == "" {
		return s.Load()
	}
	text, err := secret.Resolve(ctx, ref, secret.Options{Whole: true})
	return []byte(text), err
}

// maxSource bounds what is read from one file, in bytes.
const maxSource = 16 << 20

// String is the path, or [INLINE].
func (s Source) String() string {
	if s.Inline != nil {
		return "[INLINE]"
	}
	return s.Path
}

// LogValue keeps blocks, which may be keys, out of logs.
func (s Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
