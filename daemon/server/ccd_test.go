package server

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// The file of a name, the one called DEFAULT, or none; and an error whenever it is not known whether there is one.
func TestFindCCD(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a_b", "..", "__up", ".._up", "plain", "ümlaut"} {
		_ = os.WriteFile(filepath.Join(dir, name), []byte("text of "+name), 0o600)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "up"), []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(path string) error{
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
		"loop":   func(p string) error { return os.Symlink(p, p) },
		"pipe":   func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"zeros":  func(p string) error { return os.Symlink("/dev/zero", p) },
	} {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	withDefault := t.TempDir()
	if err := os.WriteFile(filepath.Join(withDefault, "DEFAULT"), []byte("default"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "plain")
	for _, tt := range []struct {
		dir, name string
		exclusive bool
		want      string // the file's name, "" for none
		fails     bool
	}{
		{dir: dir, name: "plain", want: "plain"},
		{dir: dir, name: "a/b", want: "a_b"},
		{dir: dir, name: "../up", want: ".._up"},
		{dir: dir, name: "//up", want: "__up"},
		{dir: dir, name: "ümlaut", want: "ümlaut"},
		{dir: dir, name: "nobody"},
		{dir: dir, name: ""},
		{dir: dir, name: "."},
		{dir: dir, name: ".."},
		{dir: withDefault, name: "nobody", want: "DEFAULT"},
		{dir: withDefault, name: "..", want: "DEFAULT"},
		{dir: withDefault, name: "a/b", want: "DEFAULT"},
		{dir: withDefault, name: "a/b", exclusive: true},
		{dir: withDefault, name: "..", exclusive: true},
		{dir: withDefault, name: "DEFAULT", want: "DEFAULT"},
		{dir: withDefault, name: "DEFAULT", exclusive: true},
		{dir: dir, name: "folder", fails: true},
		{dir: dir, name: "loop", fails: true},
		{dir: dir, name: "pipe", fails: true},
		{dir: dir, name: "zeros", fails: true},
		{dir: dir, name: strings.Repeat("x", 300), fails: true},
		{dir: dir, name: "zero\x00byte", fails: true},
		{dir: file, name: "plain", fails: true},
		{dir: filepath.Join(dir, "missing"), name: "plain", fails: true},
		{dir: filepath.Join(dir, "missing"), name: "plain", exclusive: true, fails: true},
	} {
		path, text, err := findCCD(tt.dir, tt.name, tt.exclusive)
		if (err != nil) != tt.fails {
			t.Errorf("%q: %v", tt.name, err)
		}
		want := ""
		if tt.want != "" {
			want = filepath.Join(tt.dir, tt.want)
		}
		if path != want || path != "" && len(text) == 0 {
			t.Errorf("%q: %q with %q, want %q", tt.name, path, text, want)
		}
	}
}

// A text that cannot be read to its end refuses its client, where stock ends the server: the rest may hold a disable. Lines that are
// wrong are skipped, as with stock.
func TestCCDWithoutAnEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		text    string
		disable bool
	}{
		"block without an end": {"<push>\nx\ndisable\n", true}, "and nothing in it": {"push \"ping 5\"\n<ca>\n", true}, "a block with one": {"<ca>\nx\n</ca>\n", false},
		"wrong lines": {"foo \"bar\nzz\nverb 3\n", false}, "a long line": {strings.Repeat("z", 300) + "\n", false}, "disable behind wrong lines": {"foo \"bar\ndisable\n", true},
		"disable, CRLF": {"disable\r\n", true}, "disable behind a mark": {"\ufeffdisable\n", true}, "disable in quotes": {"\"disable\"", true}, "disable with a value": {"disable now\n", false},
	} {
		a := &aside{base: &base{deps: Deps{Log: logging.New(logging.Config{Stdout: io.Discard, Stderr: io.Discard})}}}
		set := &setup{Options: &config.Options{}}
		cc := set.NewClientConfig()
		a.parse(set, cc, "client1", "", []byte(tt.text))
		if cc.Disable != tt.disable {
			t.Errorf("%s: disabled %v", name, cc.Disable)
		}
	}
}
