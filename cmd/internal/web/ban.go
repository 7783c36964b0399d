package web

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// bans writes "disable" into the files of client-config-dir, which refuses a client at moongate and at stock OpenVPN alike, from its next login on.
type bans struct{ dir string }

// fileMost bounds what is read of a file.
const fileMost = 1 << 20

// add bans a common name and returns the file that says so. What is in the file stays behind the new line.
func (b *bans) add(name string) (where string, err error) {
	switch {
	case b == nil:
		return "", errors.New("start moongate web with --ccd and the server's client-config-dir")
	case name == "":
		return "", errors.New("it has no common name")
	case strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00") || !fs.ValidPath(name):
		return "", fmt.Errorf("the name %q is no name of a file", name)
	}
	root, err := os.OpenRoot(b.dir)
	if err != nil {
		return "", err
	}
	defer root.Close() //nolint:errcheck // nothing is written through it
	old, mode := []byte(nil), fs.FileMode(0o644)
	if info, err := root.Stat(name); err == nil {
		if !info.Mode().IsRegular() || info.Size() > fileMost {
			return "", fmt.Errorf("%s is no file of client-config-dir", filepath.Join(b.dir, name))
		}
		if old, err = root.ReadFile(name); err != nil {
			return "", err
		}
		mode = info.Mode().Perm()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	where = filepath.Join(b.dir, name)
	for line := range bytes.Lines(old) {
		if string(bytes.TrimSpace(line)) == "disable" {
			return where, nil
		}
	}
	tmp := ".moongate-" + rand.Text() // complete before it has the name: the server reads whenever a client comes
	if err := root.WriteFile(tmp, append([]byte("disable\n"), old...), mode); err != nil {
		return "", err
	}
	if err := root.Rename(tmp, name); err != nil {
		return "", errors.Join(err, root.Remove(tmp))
	}
	return where, nil
}
