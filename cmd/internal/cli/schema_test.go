package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	invopop "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

var update = flag.Bool("update", false, "rewrite docs/schema")

const schemaDir = "../../../docs/schema"

// schemaFile is docs/schema/NAME-VERSION.json.
func schemaFile(name string) string {
	return strings.ReplaceAll(strings.TrimPrefix(name, "moongate."), "/", "-") + ".json"
}

// generate makes a schema from a Go type. Strict, it refuses fields that the type does not have.
func generate(t *testing.T, name string, v any, strict bool) []byte {
	t.Helper()
	r := invopop.Reflector{DoNotReference: true, ExpandedStruct: true, Anonymous: true, AllowAdditionalProperties: !strict}
	s := r.Reflect(v)
	s.ID = ""
	s.Title = name
	if p, ok := s.Properties.Get("schema"); ok {
		p.Const = name
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// docs/schema holds what the types say; -update rewrites it.
func TestSchemaFiles(t *testing.T) {
	want := make(map[string][]byte)
	for name, v := range report.Documents() {
		want[schemaFile(name)] = generate(t, name, v, false)
	}
	if *update {
		if err := os.MkdirAll(schemaDir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f, b := range want {
			if err := os.WriteFile(filepath.Join(schemaDir, f), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for f, b := range want {
		have, err := os.ReadFile(filepath.Join(schemaDir, f))
		if err != nil || !bytes.Equal(have, b) {
			t.Errorf("%s is not what the types say: go test ./cmd/internal/cli -run Schema -update (%v)", f, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(schemaDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := want[filepath.Base(f)]; !ok {
			t.Errorf("%s belongs to no type", f)
		}
	}
}

// jsonLines are command lines whose output must follow its schema, by the daemon they are for.
var jsonLines = map[string][]string{
	"server": {
		"status", "clients", "clients --filter nobody", "state --all", "log -n 3", "echo --all", "version", "bytecount", "load-stats", "pid",
		"hold", "hold on", "verb", "verb 4", "mute", "mute 2", "auth-retry", "auth-retry none", "signal SIGUSR2", "forget-passwords",
		"raw pid", "raw nonsense", "exec pid state", "attach -c pid", "wait --state CONNECTED --timeout 0", "wait --client laptop --timeout 0",
		"kill lap* --dry-run", "kill 1", "scripts", "history --dir JOURNAL", "last --dir JOURNAL", "sessions --dir JOURNAL --since 1d", "reload", "reload full", "events -k CLIENT -k LOG -k STATE -n 7",
		"fleet init --name a --address 127.0.0.1 NEW", "fleet invite FLEET", "fleet status FLEET", // of a node that does not run
		"fleet config list",
	},
	"client": {
		"status", "state", "needok token ok", "needstr id x", "username Auth joe", "password Auth", "events -n 8",
		"wait --state CONNECTED", "bytecount -f", "targets", "targets test",
	},
}

// journalOf writes a journal: an event with all fields, and one with the least.
func journalOf(t *testing.T) string {
	dir := t.TempDir()
	w, err := journal.Open(journal.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	w.Record(journal.Event{
		Kind: journal.KindDisconnect, CID: new(uint64(0)), User: "alice", CN: "laptop", Address: "192.0.2.7", Port: 40000, Tunnel: []string{"10.8.0.2"},
		Verdict: journal.Refused, Reason: "x", In: 1, Out: 2, Seconds: 1.5, Who: "seat", Text: "text",
	})
	w.Record(journal.Event{Kind: journal.KindStop})
	w.Close()
	return dir
}

// fleetOf makes the folder of a node that does not run.
func fleetOf(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "fleet")
	if _, err := pki.Init(dir, pki.Plan{Name: "a", Address: "127.0.0.1:1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Every command's real output follows its schema to the letter, also with an origin.
func TestJSONFollowsItsSchema(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	schemas := make(map[string]*jsonschema.Schema)
	for name, v := range report.Documents() {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(generate(t, name, v, true)))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(schemaFile(name), doc); err != nil {
			t.Fatal(err)
		}
		if schemas[name], err = compiler.Compile(schemaFile(name)); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[string]bool)
	check := func(t *testing.T, out string) {
		t.Helper()
		for l := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(l))
			if err != nil {
				t.Fatalf("%q: %v", l, err)
			}
			name, _ := doc.(map[string]any)["schema"].(string)
			if schemas[name] == nil {
				t.Fatalf("%s: no schema %q", l, name)
			}
			seen[name] = true
			if err := schemas[name].Validate(doc); err != nil {
				t.Errorf("%s\n%v", l, err)
			}
		}
	}
	for mode, lines := range jsonLines {
		for _, line := range lines {
			t.Run(mode+" "+line, func(t *testing.T) {
				d := jsonDaemon(t, mode)
				stop := traffic(t, d, mode)
				defer stop()
				args := strings.Fields(strings.NewReplacer("JOURNAL", journalOf(t), "NEW", filepath.Join(t.TempDir(), "new"), "FLEET", fleetOf(t)).Replace(line))
				if strings.HasPrefix(line, "bytecount -f") {
					args = append(args, "--json")
					out := limited(t, d.ListenTCP(server.Access{}), args)
					check(t, out)
					return
				}
				code, out, errs := runCommand(t, d.ListenTCP(server.Access{}), "secret\n", append(args, "--json")...)
				if code > 1 && !strings.HasPrefix(line, "fleet status") || out == "" {
					t.Fatalf("exit code %d\n%s%s", code, out, errs)
				}
				check(t, out)
			})
		}
	}
	t.Run("check", func(t *testing.T) {
		lua := filepath.Join(t.TempDir(), "x.lua")
		if err := os.WriteFile(lua, []byte("x = = 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		e := &env.Env{In: strings.NewReader(""), Out: &out, Err: &out, Getenv: func(string) string { return "" }, CheckConfig: func([]string) []report.Finding {
			return []report.Finding{{File: "x.conf", Line: 3, Column: 1, Severity: report.SeverityWarning, Rule: "deprecated", Message: "old"}}
		}}
		if code := Run(t.Context(), e, "test", []string{"check", "--json", lua, "x.conf"}); code != 1 {
			t.Errorf("exit code %d", code)
		}
		check(t, strings.SplitAfter(out.String(), "\n")[0])
	})
	t.Run("origin", func(t *testing.T) {
		a, b := jsonDaemon(t, "server").ListenTCP(server.Access{}), jsonDaemon(t, "server").ListenTCP(server.Access{})
		code, out, errs := runCommand(t, a, "", "status", "--json", "-a", b)
		if code != 0 || strings.Count(out, `"origin":`) != 2 {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		check(t, out)
	})
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		if !seen[name] {
			t.Errorf("no command printed %s", name)
		}
	}
}

// jsonDaemon is a daemon with something of everything to tell.
func jsonDaemon(t *testing.T, mode string) *mgmttest.Daemon {
	t.Helper()
	d := mgmttest.NewDaemon(t, server.Config{})
	script := []string{"mode " + mode, "state CONNECTED SUCCESS 10.8.0.1 192.0.2.1:1194 - fd00::1", "log I 'Data Channel: cipher AES'", "echo hello", "traffic 10 20"}
	if mode == "server" {
		script = append(script, "peer 0 1 laptop 192.0.2.7:40000", "peer 1 1 phone [2001:db8::1]:40000", "changed push reconnect", "script admit.lua running ''", "fleet a")
	} else {
		script = append(script, "needok token 'insert it'", "needstr id which", "userpass Auth")
	}
	for _, l := range script {
		if err := d.Do(l); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// traffic makes a daemon send notifications of many kinds until stop is called.
func traffic(t *testing.T, d *mgmttest.Daemon, mode string) (stop func()) {
	script := []string{"state CONNECTED SUCCESS 10.8.0.1", "log W careful", "echo again", "infomsg hello", "notify info-type text"}
	if mode == "server" {
		script = append(script, "client connect 0 1 common_name=laptop password=secret username=joe", "client established 0 common_name=laptop",
			"client address 0 10.8.0.2/32 own", "client disconnect 0 common_name=laptop", "client cr_response 0 1 c2VjcmV0 common_name=laptop")
	} else {
		script = append(script, "updown up dev=tun0", "failed Auth 'no such user'", "token secret")
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for round := 1; ; round++ {
			for _, l := range append(script, fmt.Sprintf("traffic %d %d", 10*round, 20*round)) {
				if err := d.Do(l); err != nil {
					t.Errorf("%s: %v", l, err)
					return
				}
				select {
				case <-done:
					return
				case <-time.After(2 * time.Millisecond):
				}
			}
		}
	}()
	return func() { close(done); <-ended }
}

// limited runs a command that goes on until interrupted, for a while.
func limited(t *testing.T, addr string, args []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	time.AfterFunc(2200*time.Millisecond, stop)
	var out bytes.Buffer
	e := &env.Env{In: strings.NewReader(""), Out: &out, Err: &out, Getenv: func(string) string { return "" }}
	if code := Run(ctx, e, "test", append(args, "-a", addr)); code != 0 {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
	return out.String()
}

// A command prints JSON, and is in jsonLines, or refuses --json with 2: none ignores it.
func TestJSONIsNeverIgnored(t *testing.T) {
	var lines []string
	for _, l := range jsonLines {
		lines = append(lines, l...)
	}
	root := NewRoot(&env.Env{Getenv: os.Getenv}, "x")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "moongate ")
		switch {
		case c == root, name == "daemon", name == "check", name == "on": // whose command lines are not cobra's, or another command's
		case formats(c, "json"):
			if name != "check" && !slices.ContainsFunc(lines, func(l string) bool { return l == name || strings.HasPrefix(l, name+" ") }) {
				t.Errorf("%s has --json and no line in jsonLines", name)
			}
		default:
			if code, out, errs := runCommand(t, daemontest.FreeAddress(t, 1), "", append(strings.Fields(name), "--json", "x", "y")[:len(strings.Fields(name))+1+wants(c)]...); code != 2 || out != "" || !strings.Contains(errs, "-o json") {
				t.Errorf("%s --json: exit code %d\n%s%s", name, code, out, errs)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// wants is how many arguments a command needs.
func wants(c *cobra.Command) int {
	for n := range 3 {
		if c.Args == nil || c.Args(c, make([]string, n)) == nil {
			return n
		}
	}
	return 0
}
