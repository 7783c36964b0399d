package test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/moongate-vpn/moongate/"

// listed is what `go list -json` tells about a package of ours.
type listed struct {
	ImportPath string
	Doc        string
	Imports    []string
}

// rooms lists the packages of the module as this machine would build them.
func rooms(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports", module+"...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages: the test looks in the wrong place", len(all))
	}
	return all
}

const sessionIsPure = "bytes, a time and verdicts in; packets, events and the next deadline out"

// The arrows of docs/architecture.md. A room is its folder and everything below it, unless it ends in "$".
var forbidden = []struct{ from, to, because string }{
	{"daemon", module + "cmd", "commands use the daemon, not the other way"},
	{"daemon", module + "script", "cmd hands the daemon its Lua: daemon.Env.Scripts"},
	{"mgmt", module + "cmd", "commands use the port, not the other way"},
	{"mgmt", module + "daemon", "the port drives a Controller it declares"},
	{"mgmt", module + "script", "scripts are clients of the port"},
	{"script", module + "daemon", "a script has a management connection and nothing else"},
	{"script", module + "cmd", "commands run scripts, not the other way"},
	{"mgmt/client", module + "mgmt/server", "the client speaks to any daemon"},
	{"mgmt/wire", module + "mgmt/client", "bytes know no connections"},
	{"mgmt/wire", module + "mgmt/server", "bytes know no connections"},
	{"daemon/control", module + "daemon/transport", "the control channel does no I/O"},
	{"daemon/control", module + "daemon/data", "the two channels meet in the engines"},
	{"daemon/data", module + "daemon/control", "the two channels meet in the engines"},
	{"daemon/data", module + "daemon/transport", "the data channel does no I/O"},
	{"daemon/data", module + "daemon/tun", "the data channel does no I/O"},
	{"daemon/reliable", "net", "the reliability layer is pure: bytes and a time in, bytes and a deadline out"},
	{"daemon/session", "net$", sessionIsPure},
	{"daemon/session", "os", sessionIsPure},
	{"daemon/session", module + "daemon/hooks", sessionIsPure},
	{"daemon/session", module + "daemon/logging", sessionIsPure},
	{"daemon/session", module + "daemon/config", "options are the engines' business: they hand in values"},
	{"daemon/session", module + "daemon/transport", sessionIsPure},
	{"daemon/fleet$", "net$", "a node's part in the fleet knows its store alone"},
	{"daemon/fleet$", "github.com/nats-io", "a node's part in the fleet knows its store alone"},
	{"daemon/client", module + "daemon/server", "the engines do not know each other"},
	{"daemon/server", module + "daemon/client", "the engines do not know each other"},
	{"daemon", "github.com/miekg/pkcs11", "shared objects only in builds with the tag pkcs11, which this test is not"},
	{"daemon", "github.com/spf13/cobra", "only cmd knows cobra"},
	{"mgmt", "github.com/spf13/cobra", "only cmd knows cobra"},
	{"script", "github.com/spf13/cobra", "only cmd knows cobra"},
	{"daemon", "github.com/peterh/liner", "only cmd owns the terminal"},
	{"mgmt", "github.com/peterh/liner", "only cmd owns the terminal"},
	{"script", "github.com/peterh/liner", "only cmd owns the terminal"},
}

// stdOnly are the packages that import the standard library alone.
var stdOnly = []string{"daemon/wire", "daemon/message", "daemon/credentials", "mgmt/lexer", "daemon/internal/replay", "mgmt"}

func TestArrows(t *testing.T) {
	for _, p := range rooms(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			for _, f := range forbidden {
				if within(room, f.from) && within(imp, f.to) {
					t.Errorf("%s imports %s: %s", room, imp, f.because)
				}
			}
			for _, s := range stdOnly {
				if room == s && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
					t.Errorf("%s imports %s: it stands on the standard library alone", room, imp)
				}
			}
		}
	}
}

// A session takes every time it needs as an argument, and starts nothing: then a test can play years of it.
func TestSessionIsPure(t *testing.T) {
	files, err := filepath.Glob("../daemon/session/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("the files of daemon/session: %v %v", files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", name)
			case *ast.SelectorExpr:
				pkg, ok := n.X.(*ast.Ident)
				if ok && pkg.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
					t.Errorf("%s calls time.%s", name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

// The types that everything of their room could end up in keep a bound on their methods: what goes beyond belongs to a part of theirs.
func TestNoTypeDoesEverything(t *testing.T) {
	for _, c := range []struct {
		room, name string
		most       int
	}{
		{"daemon/server", "hub", 66},
		{"daemon/server", "Server", 40},
		{"daemon/client", "attempt", 60},
		{"daemon/client", "Client", 24},
		{"daemon", "process", 40},
	} {
		files, err := filepath.Glob("../" + c.room + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		methods := 0
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && receiver(fn) == c.name {
					methods++
				}
			}
		}
		if methods == 0 || methods > c.most {
			t.Errorf("%s.%s has %d methods, want 1 to %d", c.room, c.name, methods, c.most)
		}
	}
}

// receiver is the name of the type that a method belongs to.
func receiver(fn *ast.FuncDecl) string {
	e := fn.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// clocks are the functions of package time that read one.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range rooms(t) {
		if len(p.Doc) < 20 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// within reports whether path is room or lies below it; a room that ends in "$" is itself alone.
func within(path, room string) bool {
	if exact, ok := strings.CutSuffix(room, "$"); ok {
		return path == exact
	}
	return path == room || strings.HasPrefix(path, room+"/")
}

// The map names every room, and every file that it names exists.
func TestMapIsComplete(t *testing.T) {
	b, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	families := []string{"cmd/internal/cli", "daemon/tls", "script/sandbox"} // named as a whole
	for _, p := range rooms(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		covered := slices.ContainsFunc(families, func(f string) bool { return within(room, f) }) || strings.HasSuffix(room, "test") || within(room, "daemon/daemontest")
		if !covered && !strings.Contains(text, "`"+room+"`") {
			t.Errorf("docs/architecture.md does not name %s", room)
		}
	}
	homes := []string{"../", "../daemon/server/", "../daemon/client/"}
	for _, m := range regexp.MustCompile("`([a-z_/]+\\.go)`").FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(homes, func(dir string) bool { _, err := os.Stat(dir + m[1]); return err == nil }) {
			t.Errorf("docs/architecture.md names %s, which is not there", m[1])
		}
	}
}
