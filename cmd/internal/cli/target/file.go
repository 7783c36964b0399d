package target

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/moongate-vpn/moongate/mgmt/client"
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
// be read again. Paths are kept as absolute ones: a name means the same in every folder.
func Add(path string, t Target) error {
	if err := CheckName(t.Name); err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	if err := t.absolute(); err != nil {
		return err
	}
	old, have, err := load(path)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(have, func(h Target) bool { return h.Name == t.Name }) {
		return fmt.Errorf("%s: target %s %w", path, t.Name, ErrExists)
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
	return replace(path, b.Bytes())
}

// absolute makes the paths of a target absolute.
func (t *Target) absolute() (err error) {
	abs := func(path string) string {
		if path == "" || err != nil {
			return path
		}
		path, err = filepath.Abs(path)
		return path
	}
	t.CA, t.Cert, t.Key = abs(t.CA), abs(t.Cert), abs(t.Key)
	if before, path, ok := strings.Cut(t.Password, "file:"); ok && (before == "" || before == "totp:") {
		t.Password = before + "file:" + abs(path)
	}
	if a, bad := client.ParseAddr(t.Address); bad == nil && a.Network == "unix" && !IsSSH(t.Address) && !IsFleet(t.Address) && !filepath.IsAbs(a.Address) {
		t.Address = abs(a.Address)
		if a.Use != "" {
			t.Address += "#" + a.Use
		}
	}
	return err
}

// ErrMissing means that a file has no target of this name.
var ErrMissing = errors.New("is not there")

// Remove takes the table of a target out of a file, which keeps its comments. A target that is written in another way, and one whose removal would change more
// than itself, is left as it is.
func Remove(path, name string) error {
	old, have, err := load(path)
	if err != nil {
		return err
	}
	is := func(t Target) bool { return t.Name == name }
	if !slices.ContainsFunc(have, is) {
		return fmt.Errorf("%s: target %s %w", path, name, ErrMissing)
	}
	lines := strings.SplitAfter(string(old), "\n")
	from := slices.IndexFunc(lines, func(l string) bool { return tableOf(l) == name })
	by := fmt.Errorf("%s: target %s is not a table of its own: remove it with an editor", path, name)
	if from < 0 {
		return by
	}
	next := from + 1
	for next < len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[next]), "[") {
		next++
	}
	to := next
	for l := strings.TrimSpace(lines[to-1]); to > from+1 && (l == "" || l[0] == '#'); l = strings.TrimSpace(lines[to-1]) {
		to-- // comments behind the last key are not about it
	}
	for to < next && strings.TrimSpace(lines[to]) == "" {
		to++
	}
	text := strings.Join(slices.Delete(lines, from, to), "")
	left, err := parse(path, []byte(text))
	if want := slices.DeleteFunc(have, is); err != nil || !same(left, want) {
		return by
	}
	return replace(path, []byte(text))
}

// tableOf is the name of the target whose table begins at a line, "" of another line.
func tableOf(line string) string {
	var f struct{ Targets map[string]any }
	if !strings.HasPrefix(strings.TrimSpace(line), "[") {
		return ""
	}
	if _, err := toml.Decode(line, &f); err != nil || len(f.Targets) != 1 {
		return ""
	}
	for name, t := range f.Targets {
		if table, ok := t.(map[string]any); ok && len(table) == 0 {
			return name
		}
	}
	return ""
}

func same(a, b []Target) bool {
	byName := func(x, y Target) int { return strings.Compare(x.Name, y.Name) }
	slices.SortFunc(a, byName)
	slices.SortFunc(b, byName)
	return slices.Equal(a, b)
}

// load reads a file that is to be changed.
func load(path string) ([]byte, []Target, error) {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	have, err := parse(path, old)
	return old, have, err
}

// replace writes a file anew.
func replace(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".targets-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(b); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
