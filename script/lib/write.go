package lib

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/script/sandbox"
)

// Writer carries out file.write and file.append.
type Writer struct {
	Base string                                       // relative names are below it
	Dirs []string                                     // folders that may be written to
	Fake func(name, text string) bool                 // takes what would be written, in a test
	Tell func(format string, args ...any) (done bool) // reports instead, under a dry run
}

// AddTo puts write and append into the module file.
func (w Writer) AddTo(L *lua.LState, module *lua.LTable) {
	L.SetFuncs(module, map[string]lua.LGFunction{"write": w.write, "append": w.append})
}

// open opens the allowed folder that name is in.
func (w Writer) open(L *lua.LState, name string) (*os.Root, string, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(w.Base, name)
	}
	for _, dir := range w.Dirs {
		if rel, err := filepath.Rel(dir, name); err == nil && filepath.IsLocal(rel) && rel != "." {
			root, err := os.OpenRoot(dir)
			return root, rel, err
		}
	}
	dir := filepath.Dir(name)
	L.RaiseError("writing %s is not allowed: start the script with --allow write=%s, or write allow write=%s behind it in the configuration", name, dir, dir)
	return nil, "", nil
}

// write is file.write(name, text): the file has the old content or the new, nothing between.
func (w Writer) write(L *lua.LState) int {
	return w.change(L, "write", "file.write %s, %d bytes", func(root *os.Root, rel, text string) error {
		temporary := rel + ".new"
		err := writeAll(root, temporary, os.O_TRUNC, text)
		if err == nil {
			err = root.Rename(temporary, rel)
		}
		if err != nil {
			_ = root.Remove(temporary)
		}
		return err
	})
}

// append is file.append(name, text, {max_bytes =, keep =}): a file that would grow above max_bytes is first moved to NAME.1, that to NAME.2, up to keep.
func (w Writer) append(L *lua.LState) int {
	o := Options(L, 3, "max_bytes", "keep")
	limit, keep := int64(o.Number("max_bytes", 10<<20)), int(o.Number("keep", 3))
	if limit < 1 || keep < 0 || keep > 100 {
		L.ArgError(3, "max_bytes must be above 0, keep from 0 to 100")
	}
	return w.change(L, "append to", "file.append %s, %d bytes", func(root *os.Root, rel, text string) error {
		if st, err := root.Stat(rel); err == nil && st.Size() > 0 && st.Size()+int64(len(text)) > limit {
			rotate(root, rel, keep)
		}
		return writeAll(root, rel, os.O_APPEND, text)
	})
}

// change does something to the file that the first argument names with the text of the second, where the script may write. verb is for
// its error; tell is said in its place where nothing is done.
func (w Writer) change(L *lua.LState, verb, tell string, do func(root *os.Root, rel, text string) error) int {
	name, text := L.CheckString(1), L.CheckString(2)
	if w.Fake(name, text) {
		L.Push(lua.LTrue)
		return 1
	}
	root, rel, err := w.open(L, name)
	if err != nil {
		return fail(L, err)
	}
	defer root.Close()
	if w.Tell(tell, name, len(text)) {
		L.Push(lua.LTrue)
		return 1
	}
	sandbox.Blocked(L, func() { err = do(root, rel, text) })
	if err != nil {
		return fail(L, fmt.Errorf("%s %s: %w", verb, name, reason(err)))
	}
	L.Push(lua.LTrue)
	return 1
}

// rotate makes room for a new file. What cannot be moved is overwritten in the end, or grows: no line is lost for it.
func rotate(root *os.Root, rel string, keep int) {
	if keep == 0 {
		_ = root.Remove(rel)
		return
	}
	for i := keep - 1; i >= 1; i-- {
		_ = root.Rename(rel+"."+strconv.Itoa(i), rel+"."+strconv.Itoa(i+1))
	}
	_ = root.Rename(rel, rel+".1")
}

func writeAll(root *os.Root, rel string, flag int, text string) error {
	f, err := root.OpenFile(rel, os.O_WRONLY|os.O_CREATE|syscall.O_NONBLOCK|flag, 0o600) // a pipe does not hold it up
	if err != nil {
		return err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return errors.Join(err, f.Close(), errors.New("not a regular file"))
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
