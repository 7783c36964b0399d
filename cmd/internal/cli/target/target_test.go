package target

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// book has the names office (file and socket), cloud, lab-1, lab-2 (file) and cellar (socket).
func book(t *testing.T) Book {
	t.Helper()
	dir, err := os.MkdirTemp("", "mg") // the path of t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range []string{"office", "cellar"} {
		ln, err := net.Listen("unix", filepath.Join(dir, name+".sock"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.sock"), nil, 0o600); err != nil { // no socket
		t.Fatal(err)
	}
	file := filepath.Join(dir, "targets.toml")
	text := "# mine\n[targets.office]\naddress = \"10.0.0.1:7505\"\npassword = \"file:/pw\"\n[targets.cloud]\naddress = \"tls://h:1\"\nca = \"ca.crt\"\n" +
		"[targets.lab-1]\naddress = \"/a.sock\"\n[targets.lab-2]\naddress = \"ssh://joe@h:22/run/b.sock\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Book{Files: []string{file, filepath.Join(dir, "none.toml")}, RunDir: dir}
}

func TestResolve(t *testing.T) {
	b := book(t)
	for _, tt := range []struct {
		words string
		want  []string // addresses
	}{
		{"127.0.0.1:7505", []string{"127.0.0.1:7505"}},
		{"./x.sock", []string{"./x.sock"}},
		{"run/x.sock", []string{"run/x.sock"}},
		{"ssh://h/run/x.sock", []string{"ssh://h/run/x.sock"}},
		{"office", []string{"10.0.0.1:7505"}},
		{"cellar", []string{filepath.Join(b.RunDir, "cellar.sock")}},
		{"lab-*", []string{"/a.sock", "ssh://joe@h:22/run/b.sock"}},
		{"lab-1 office lab-*", []string{"/a.sock", "10.0.0.1:7505", "ssh://joe@h:22/run/b.sock"}},
		{"[oc]*", []string{"tls://h:1", "10.0.0.1:7505", filepath.Join(b.RunDir, "cellar.sock")}},
	} {
		got, err := b.Resolve(strings.Fields(tt.words))
		if err != nil {
			t.Errorf("%s: %v", tt.words, err)
			continue
		}
		var addresses []string
		for _, x := range got {
			addresses = append(addresses, x.Address)
		}
		if diff := cmp.Diff(tt.want, addresses); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.words, diff)
		}
	}
	for _, bad := range []string{"nobody", "nobody*", "notes", "[", "h:0", "http://x", "ssh://", "ssh://h", "ssh://-oProxyCommand=x/a", "ssh://a:pw@h/x"} {
		if got, err := b.Resolve([]string{bad}); err == nil {
			t.Errorf("%s: %v", bad, got)
		}
	}
}

// A socket of the current folder needs no ./ in front.
func TestASocketBesideUs(t *testing.T) {
	b := book(t)
	t.Chdir(b.RunDir)
	got, err := Book{}.Resolve([]string{"cellar.sock"})
	if diff := cmp.Diff([]Target{{Name: "cellar.sock", Address: "./cellar.sock"}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestOnly(t *testing.T) {
	b := book(t)
	if _, err := b.Only(); err == nil || !strings.Contains(err.Error(), "cellar, office") {
		t.Errorf("two sockets: %v", err)
	}
	os.Remove(filepath.Join(b.RunDir, "office.sock"))
	if got, err := b.Only(); err != nil || got.Name != "cellar" {
		t.Errorf("one socket: %+v, %v", got, err)
	}
	b.RunDir = "/nowhere"
	if got, err := b.Only(); err != nil || got.Address != Default {
		t.Errorf("none: %+v, %v", got, err)
	}
}

func TestAddKeepsTheFile(t *testing.T) {
	b := book(t)
	file := b.Files[0]
	before, _ := os.ReadFile(file)
	want := Target{Name: "new.one", Address: "/x y.sock", Password: `cmd:pass "a b"`}
	if err := Add(file, want); err != nil {
		t.Fatal(err)
	}
	after, _ := os.ReadFile(file)
	if !strings.HasPrefix(string(after), string(before)) {
		t.Errorf("the file was rewritten:\n%s", after)
	}
	got, err := b.Resolve([]string{"new.one"})
	if diff := cmp.Diff([]Target{want}, got, cmpopts.IgnoreFields(Target{}, "Source")); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []Target{want, {Name: "a/b", Address: ":1"}, {Name: "*", Address: ":1"}, {Name: "-a", Address: ":1"}, {Name: "x", Address: "y"}} {
		if err := Add(file, bad); err == nil {
			t.Errorf("%+v was added", bad)
		}
	}
	if again, _ := os.ReadFile(file); string(again) != string(after) {
		t.Error("a refused target changed the file")
	}
}

func TestAddMakesPathsAbsolute(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	path := filepath.Join(dir, "targets.toml")
	for i, tt := range []struct{ in, want Target }{
		{Target{Address: "./os.sock", CA: "ca.crt", Cert: "a/b.crt", Key: "/k", Password: "file:pw"}, Target{Address: dir + "/os.sock", CA: dir + "/ca.crt", Cert: dir + "/a/b.crt", Key: "/k", Password: "file:" + dir + "/pw"}},
		{Target{Address: "unix:os.sock#b", Password: "totp:file:../pw"}, Target{Address: dir + "/os.sock#b", Password: "totp:file:" + filepath.Dir(dir) + "/pw"}},
		{Target{Address: "/run/x.sock", Password: "file:/pw"}, Target{Address: "/run/x.sock", Password: "file:/pw"}},
		{Target{Address: "unix:/run/x.sock", Password: "cmd:cat file:pw"}, Target{Address: "unix:/run/x.sock", Password: "cmd:cat file:pw"}},
		{Target{Address: "tls://h:1", Password: "env:X"}, Target{Address: "tls://h:1", Password: "env:X"}},
		{Target{Address: "ssh://h/x.sock"}, Target{Address: "ssh://h/x.sock"}},
	} {
		tt.in.Name = fmt.Sprint("t", i)
		tt.want.Name, tt.want.Source = tt.in.Name, path
		if err := Add(path, tt.in); err != nil {
			t.Errorf("%+v: %v", tt.in, err)
			continue
		}
		got, err := Book{Files: []string{path}}.Resolve([]string{tt.in.Name})
		if diff := cmp.Diff([]Target{tt.want}, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

func TestRemoveKeepsTheFile(t *testing.T) {
	const a, b = "# about a\n[targets.a]\naddress = \":1\" # here\n# a password\npassword = \"env:X\"\n", "# about b\n[ targets . \"b\" ]\naddress = \":2\"\n"
	for _, tt := range []struct{ name, file, remove, want, err string }{
		{"first", a + "\n" + b, "a", "# about a\n" + b, ""},
		{"without a blank", a + b, "a", "# about a\n" + b, ""},
		{"last", a + "\n" + b, "b", a + "\n# about b\n", ""},
		{"comments at the end", b + "\n# the end\n", "b", "# about b\n# the end\n", ""},
		{"no line end", "[targets.a]\naddress = ':1'", "a", "", ""},
		{"in the middle", "[targets.c]\naddress = ':3'\n" + a + b, "a", "[targets.c]\naddress = ':3'\n# about a\n" + b, ""},
		{"not there", a, "x", a, "target x is not there"},
		{"dotted", "targets.a.address = ':1'\n" + b, "a", "targets.a.address = ':1'\n" + b, "not a table of its own"},
		{"inline", "[targets]\na = { address = ':1' }\n", "a", "[targets]\na = { address = ':1' }\n", "not a table of its own"},
		{"a text with a bracket", "[targets.a]\naddress = ':1'\nca = \"\"\"\n[targets.b]\n\"\"\"\n", "a", "[targets.a]\naddress = ':1'\nca = \"\"\"\n[targets.b]\n\"\"\"\n", "not a table of its own"},
		{"a mistake", "[targets.a]\naddress = 1\n", "a", "[targets.a]\naddress = 1\n", "line 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "targets.toml")
			if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Remove(path, tt.remove)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			got, err := os.ReadFile(path)
			if diff := cmp.Diff(tt.want, string(got)); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestMistakesInTheFile(t *testing.T) {
	for text, want := range map[string]string{
		"[targets.a]\naddress = \n":               "x.toml:2:11",
		"[targets.a]\nadress = \":1\"\n":          "adress: no such key",
		"[targets.a]\naddress = \"nonsense\"\n":   "target a: address",
		"[targets.\"a b\"]\naddress = \":1\"\n":   "target name",
		"[targets.a]\naddress = \":1\"\nca = 3\n": "x.toml",
	} {
		if _, err := parse("x.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestParseSSH(t *testing.T) {
	for in, want := range map[string]SSH{
		"ssh://h/run/x.sock":          {"h", "", "/run/x.sock", ""},
		"ssh://joe@h:2222/run/x.sock": {"joe@h", "2222", "/run/x.sock", ""},
		"ssh://h/:7505":               {"h", "", "127.0.0.1:7505", ""},
		"ssh://h/run/all.sock#b":      {"h", "", "/run/all.sock", "b"},
		"ssh://h/:7505#b":             {"h", "", "127.0.0.1:7505", "b"},
	} {
		got, err := ParseSSH(in)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", in, err, diff)
		}
	}
}
