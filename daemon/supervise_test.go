package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// scripted plays Lua: a script is a file whose first word says what it does.
//
//	runs     its main chunk has run, and it stays
//	decides  the same, and it decides about logins
//	broken   it does not compile
//	fails    its main chunk fails
//	exits    it ends itself
type scripted struct {
	mu   sync.Mutex
	runs []string // the words of the runs, in their order
}

func (h *scripted) word(path string) string {
	b, _ := os.ReadFile(path)
	word, _, _ := strings.Cut(string(b), " ")
	return strings.TrimSpace(word)
}

func (h *scripted) Check(path string) error {
	if h.word(path) == "broken" {
		return fmt.Errorf("%s:1: syntax error", path)
	}
	return nil
}

func (h *scripted) started() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.runs, " ")
}

func (h *scripted) Start(ctx context.Context, s config.LuaScript, _, _ int, serve func(net.Conn), out ScriptOutput) (RunningScript, error) {
	word := h.word(s.Path)
	h.mu.Lock()
	h.runs = append(h.runs, word)
	h.mu.Unlock()
	ours, theirs := net.Pipe()
	r := &scriptedRun{ready: make(chan error, 1), done: make(chan struct{}), conn: ours, out: out, word: word}
	go serve(theirs)
	switch word {
	case "fails":
		r.ready <- errors.New(s.Path + ":1: no such thing\ntrace")
		r.end(errors.New(s.Path + ":1: no such thing\ntrace"))
	case "exits":
		r.ready <- nil
		r.end(exited{})
	default:
		r.ready <- nil
	}
	return r, nil
}

type exited struct{}

func (exited) Error() string { return "exit 0" }
func (exited) ExitCode() int { return 0 }

type scriptedRun struct {
	ready chan error
	done  chan struct{}
	once  sync.Once
	err   error
	conn  net.Conn
	out   ScriptOutput
	word  string
}

func (r *scriptedRun) end(err error) {
	r.once.Do(func() {
		r.err = err
		r.conn.Close()
		close(r.done)
	})
}

func (r *scriptedRun) Ready() <-chan error { return r.ready }
func (r *scriptedRun) Begin(bool) {
	r.out.Status(mgmt.ScriptStatus{State: mgmt.ScriptRunning, Decides: r.word == "decides", Events: 3})
	r.out.Print("begins")
}
func (r *scriptedRun) Probe()                {}
func (r *scriptedRun) Drain()                { r.end(nil) }
func (r *scriptedRun) Stop()                 { r.end(nil) }
func (r *scriptedRun) Done() <-chan struct{} { return r.done }
func (r *scriptedRun) Err() error            { return r.err }

// A script is kept running: it starts again after a failure, a reload puts a proven version in its place, and a version that fails
// or does not compile changes nothing.
func TestScriptsAreSupervised(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := dir + "/a.lua"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("fails")
	host := new(scripted)
	r := begin(t, serverLines+"script "+path+"\n", host)
	r.logs("Initialization Sequence Completed")
	r.await("two starts", func() bool { return strings.HasPrefix(host.started(), "fails fails") })
	r.logs("script " + path + " ended: " + path + ":1: no such thing")
	write("runs one")
	r.await("it runs", func() bool { return strings.HasSuffix(host.started(), " runs") })
	r.logs(path + ": begins")
	started := host.started()
	r.says("reload", "")
	if got := host.started(); got != started {
		t.Errorf("a reload without a change started %q after %q", got, started)
	}
	write("broken")
	r.says("reload", "syntax error")
	write("fails")
	r.says("reload", "no such thing")
	write("decides two")
	r.says("reload", "")
	r.logs("Reload: script applied")
	if got, want := host.started(), started+" fails decides"; got != want {
		t.Errorf("started %q, want %q", got, want)
	}
	r.says("scripts", path)
	r.configure(serverLines)
	r.says("reload", "")
	r.await("it is over", func() bool { return r.out.Count("Reload: script applied") == 2 })
}

// The first run of a script has begun when start returns: then the daemon gives up the rights that reading the file may take.
func TestFirstRunsBeginBeforeTheRightsGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := new(config.Options)
	for _, word := range []string{"fails", "runs", "exits"} {
		path := filepath.Join(dir, word+".lua")
		if err := os.WriteFile(path, []byte(word), 0o600); err != nil {
			t.Fatal(err)
		}
		o.LuaScripts = append(o.LuaScripts, config.LuaScript{Path: path})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	host := new(scripted)
	h := &scriptHost{
		host: host, lg: logging.New(logging.Config{Stdout: io.Discard}), privileges: &privileges{uid: -1, gid: -1}, wg: &wg, ctx: ctx,
		port: server.New(server.Config{Controller: mgmttest.NewController()}),
	}
	h.start(o)
	if got := host.started(); !strings.HasPrefix(got, "fails runs exits") {
		t.Errorf("started %q", got)
	}
}

// A file that changes while its script starts is seen by the next reload, whichever of the two has run.
func TestFileThatChangesWhileItStarts(t *testing.T) {
	path := t.TempDir() + "/a.lua"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec := config.LuaScript{Path: path}
	write("first")
	before := sum(spec, nil)
	if started(spec, nil, before) != sum(spec, nil) {
		t.Error("without a change")
	}
	write("second")
	for _, modules := range [][]string{nil, {path}} {
		if started(spec, modules, before) == sum(spec, modules) {
			t.Errorf("with modules %q the change is not seen", modules)
		}
	}
}

// A reload that follows another at once finds nothing changed, though the supervisor has not put the new version in its place yet.
func TestVersionThatIsAboutToRunIsTheSame(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.lua")
	if err := os.WriteFile(path, []byte("runs new"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := config.LuaScript{Path: path}
	s := &supervised{path: path, replace: make(chan *scriptVersion, 1), status: newScriptStatus(path)}
	if s.same(spec) {
		t.Error("the old version counts as the new one")
	}
	s.renew(newScriptVersion(spec))
	if !s.same(spec) {
		t.Error("before it is in place")
	}
	s.adopt(<-s.replace)
	if !s.same(spec) || s.next != nil {
		t.Error("when it is in place")
	}
	if err := os.WriteFile(path, []byte("runs newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.same(spec) {
		t.Error("a change after it is not seen")
	}
}

// While a script starts, its logins wait a moment; one that is proven decides about them, so a reload with logins that wait long since refuses none.
func TestScriptsThatDoNotDecideYet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state          mgmt.ScriptState
		decides, alone bool
		waits, soon    bool
	}{
		{mgmt.ScriptStarting, true, false, true, true},
		{mgmt.ScriptStarting, false, true, true, true},
		{mgmt.ScriptStarting, false, false, false, false},
		{mgmt.ScriptReady, true, false, false, false},
		{mgmt.ScriptReady, true, true, false, false},
		{mgmt.ScriptReady, false, true, true, true},
		{mgmt.ScriptRunning, true, true, false, false},
		{mgmt.ScriptRunning, false, true, false, false},
		{mgmt.ScriptFailed, true, false, true, false},
		{mgmt.ScriptFailed, false, true, true, false},
		{mgmt.ScriptEnded, true, false, true, false},
		{mgmt.ScriptEnded, false, true, false, false},
	} {
		s := &supervised{path: "a.lua", status: newScriptStatus("a.lua")}
		s.status.set(mgmt.ScriptStatus{State: tt.state, Decides: tt.decides})
		h := &scriptHost{scripts: []*supervised{s}}
		h.alone.Store(tt.alone)
		if path, soon := h.undecided(); path != "" != tt.waits || soon != tt.soon {
			t.Errorf("%+v: %q, %v", tt, path, soon)
		}
	}
}

// A script that ends itself rests until the next version.
func TestScriptRests(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/a.lua"
	if err := os.WriteFile(path, []byte("exits"), 0o600); err != nil {
		t.Fatal(err)
	}
	host := new(scripted)
	r := begin(t, serverLines+"script "+path+"\n", host)
	r.logs("script " + path + " ended: exit 0")
	if err := os.WriteFile(path, []byte("runs now"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.logs("Initialization Sequence Completed")
	r.says("reload", "")
	r.logs(path + ": begins")
	if got := host.started(); got != "exits runs" {
		t.Errorf("started %q", got)
	}
}

// A daemon does not start with a script that cannot run.
func TestBrokenScriptEndsTheStart(t *testing.T) {
	path := t.TempDir() + "/a.lua"
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := new(daemontest.Log)
	status := Main(t.Context(), []string{
		"--dev", "null", "--client", "--remote", "127.0.0.1", "--proto", "udp", "--ca", path, "--cert", path, "--key", path, "--script", path,
	}, Env{Stdin: strings.NewReader(""), Stdout: out, Stderr: out, NoSignals: true, Scripts: new(scripted)})
	if status != 1 || !strings.Contains(out.String(), "syntax error") {
		t.Errorf("exit status %d: %s", status, out)
	}
}
