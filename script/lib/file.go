package lib

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/script/sandbox"
)

// maxFile is the largest file a script may read, in bytes.
const maxFile = 1 << 20

// File is the module file: read(name) and lines(name). Only files that are of paths, or below a folder of paths, can be read; a
// relative name is below base. Links that lead outside are refused.
func File(L *lua.LState, base string, paths []string) *lua.LTable {
	return L.SetFuncs(L.NewTable(), map[string]lua.LGFunction{
		"read": func(L *lua.LState) int {
			b, err := readFile(L, base, paths)
			if err != nil {
				return fail(L, err)
			}
			L.Push(lua.LString(b))
			return 1
		},
		"lines": func(L *lua.LState) int {
			b, err := readFile(L, base, paths)
			if err != nil {
				return fail(L, err)
			}
			t := L.NewTable()
			for line := range strings.Lines(string(b)) {
				t.Append(lua.LString(strings.TrimRight(line, "\r\n")))
			}
			L.Push(t)
			return 1
		},
	})
}

func readFile(L *lua.LState, base string, paths []string) (b []byte, err error) {
	name := L.CheckString(1)
	if !filepath.IsAbs(name) {
		name = filepath.Join(base, name)
	}
	sandbox.Blocked(L, func() { b, err = ReadFile(paths, name) })
	if errors.Is(err, errClosed) {
		err = fmt.Errorf("reading %s is not allowed: start the script with --allow read=%s, or write allow read=%s behind it in the configuration", name, name, name)
	}
	return b, err
}

// errClosed means that a file is not of what may be read.
var errClosed = errors.New("not of what may be read")

// ReadFile reads name, an absolute path, if it is one of paths or below one of them.
func ReadFile(paths []string, name string) ([]byte, error) {
	for _, dir := range paths {
		rel, err := filepath.Rel(dir, name)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if rel == "." {
			dir, rel = filepath.Split(name)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		f, err := root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe does not hold it up
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, reason(err))
		}
		defer f.Close()
		if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
			return nil, fmt.Errorf("read %s: not a regular file", name)
		}
		b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
		if err == nil && len(b) > maxFile {
			err = errors.New("file too large")
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		return b, nil
	}
	return nil, errClosed
}

// reason drops the path that the caller names already.
func reason(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
