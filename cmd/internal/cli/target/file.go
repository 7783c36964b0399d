package target

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// file is the layout of a file of targets.
//
//	[targets.office]
//	address  = "tls://vpn.example.com:7505"
//	password = "file:/etc/moongate/office.pw"
//	ca       = "/etc/moongate/ca.crt"
type file struct {
	Targets map[string]Target `toml:"targets"`
}

// read reads a file of targets. Its errors name file, line and column.
func read(path string) ([]Target, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return parse(path, b)
}

func parse(path string, b []byte) ([]Target, error) {
	var f file
	md, err := toml.Decode(string(b), &f)
	var where toml.ParseError
	if errors.As(err, &where) {
		return nil, fmt.Errorf("%s:%d:%d: %s", path, where.Position.Line, where.Position.Col, where.Message)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if extra := md.Undecoded(); len(extra) > 0 {
		return nil, fmt.Errorf("%s: %s: no such key; a target has address, password, ca, cert and key", path, extra[0])
	}
	var all []Target
	for name, t := range f.Targets {
		t.Name, t.Source = name, path
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("%s: target %s: %w", path, name, err)
		}
		all = append(all, t)
	}
	return all, nil
}

// CheckName refuses names that -a would read as something else.
func CheckName(name string) error {
	if name == "" || strings.ContainsAny(name, "/:*?[ \t\n\"'\\") || strings.HasPrefix(name, "-") {
		return fmt.Errorf("target name %q: want letters, digits, '.', '_' and '-'", name)
	}
	return nil
}

// ErrExists means that a file has a target of this name.
var ErrExists = errors.New("is there already")

// Add appends a target to a file, which keeps its comments. The file is made when it is missing, and replaced only by one that can
// be read again.
func Add(path string, t Target) error {
	if err := CheckName(t.Name); err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	have, err := parse(path, old)
	if err != nil {
		return err
	}
	for _, h := range have {
		if h.Name == t.Name {
			return fmt.Errorf("%s: target %s %w", path, t.Name, ErrExists)
		}
	}
	var b bytes.Buffer
	b.Write(old)
	if len(old) > 0 {
		if old[len(old)-1] != '\n' {
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "[targets.%q]\n", t.Name)
	for _, kv := range [][2]string{{"address", t.Address}, {"password", t.Password}, {"ca", t.CA}, {"cert", t.Cert}, {"key", t.Key}} {
		if kv[1] != "" {
			fmt.Fprintf(&b, "%s = %q\n", kv[0], kv[1])
		}
	}
	if _, err := parse(path, b.Bytes()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".targets-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(b.Bytes()); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
