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

// File is the module file: read(name) and lines(name). Only files below dirs can be read; a relative name is looked up in the
// first of them. Links that lead outside are refused.
func File(L *lua.LState, dirs []string) *lua.LTable {
	return L.SetFuncs(L.NewTable(), map[string]lua.LGFunction{
		"read": func(L *lua.LState) int {
			b, err := readFile(L, dirs)
			if err != nil {
				return fail(L, err)
			}
			L.Push(lua.LString(b))
			return 1
		},
		"lines": func(L *lua.LState) int {
			b, err := readFile(L, dirs)
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

func readFile(L *lua.LState, dirs []string) (b []byte, err error) {
	name := L.CheckString(1)
	sandbox.Blocked(L, func() { b, err = ReadFile(dirs, name) })
	return b, err
}

// ReadFile reads name if it is below one of dirs.
func ReadFile(dirs []string, name string) ([]byte, error) {
	if len(dirs) == 0 {
		return nil, fmt.Errorf("read %s: no folder is open to this script", name)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(dirs[0], name)
	}
	for _, dir := range dirs {
		rel, err := filepath.Rel(dir, name)
		if err != nil || !filepath.IsLocal(rel) {
			continue
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
	return nil, fmt.Errorf("read %s: outside the folders open to this script", name)
}

// reason drops the path that the caller names already.
func reason(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
