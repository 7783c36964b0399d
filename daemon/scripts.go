package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// ScriptHost runs Lua for the daemon. A script speaks to the management port, over a connection of its own.
type ScriptHost interface {
	// Check compiles the file at path without running it. Its error names file and line.
	Check(path string) error
	// Start begins to run a script until ctx ends. serve is called with the daemon's end of its connection, and returns when that is
	// over. The script runs as uid and gid, -1 for those of the daemon.
	Start(ctx context.Context, s config.LuaScript, uid, gid int, serve func(net.Conn), out ScriptOutput) (RunningScript, error)
}

// RunningScript is one run of a script.
type RunningScript interface {
	// Ready receives nil when the main chunk has run without an error, or the error.
	Ready() <-chan error
	// Begin lets the script handle the events since its main chunk ended; all adds those before.
	Begin(all bool)
	// Drain ends the script when the handlers that run have ended; Stop ends it at once, and waits.
	Drain()
	Stop()
	// Probe ends a script whose process gives no sign of life. It returns at once.
	Probe()
	// Done is closed when the script has ended. Err is then nil, an error with the method ExitCode when the script ended
	// itself, or why it failed: file and line first, maybe with a trace in further lines.
	Done() <-chan struct{}
	Err() error
}

// ScriptOutput is where the words of a script go.
type ScriptOutput struct {
	Log    *slog.Logger
	Print  func(text string)
	Status func(mgmt.ScriptStatus)
	// Ask puts a NEED-STR question, or NEED-OK without text, to the seats of the management port, and returns the text, "ok" or "cancel".
	Ask func(ctx context.Context, text bool, name, message string) (string, error)
}

// scriptHost keeps the scripts of the options running.
type scriptHost struct {
	host       ScriptHost // nil in a build without Lua
	lg         *logging.Logger
	privileges *privileges
	wg         *sync.WaitGroup
	ctx        context.Context // of everything in wg
	port       *server.Server

	mu      sync.Mutex    // guards scripts
	scripts []*supervised // in the order of the options
	alone   atomic.Bool   // there is no other management port: nobody else decides about logins
	logins  logins
}

// scripts are the Lua files the options name, without repetitions: the last line of a file counts.
func scripts(o *config.Options) []config.LuaScript {
	var list []config.LuaScript
	for _, s := range o.LuaScripts {
		if i := slices.IndexFunc(list, func(x config.LuaScript) bool { return x.Path == s.Path }); i >= 0 {
			list[i] = s
			continue
		}
		list = append(list, s)
	}
	return list
}

// check compiles all scripts: a daemon does not start with one that cannot run.
func (h *scriptHost) check(o *config.Options) error {
	if h.host == nil {
		return nil
	}
	for _, s := range scripts(o) {
		if err := h.host.Check(s.Path); err != nil {
			return err
		}
	}
	return nil
}

// start begins the scripts of the options: their files are read and their processes run when it returns, and the daemon may give up its rights. They end with
// the process.
func (h *scriptHost) start(o *config.Options) {
	want := scripts(o)
	if len(want) > 0 && h.host == nil {
		h.lg.Msg(logging.Warn, "WARNING: this build runs no scripts: %s", want[0].Path)
		return
	}
	h.alone.Store(len(o.ManagementListen) == 0)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, spec := range want {
		h.scripts = append(h.scripts, h.supervise(spec, h.first(spec)))
	}
}

// first starts the first run of a script, nil where the supervisor has to try again.
func (h *scriptHost) first(spec config.LuaScript) *scriptVersion {
	n := newScriptVersion(spec)
	var err error
	if n.run, err = h.run(h.ctx, spec, n.status); err != nil {
		return nil
	}
	return n
}

// replacement holds the new versions of a reload's scripts, which are proven and wait for their turn.
type replacement struct {
	host *scriptHost
	next map[string]*scriptVersion // by path
	want []config.LuaScript
}

// scriptVersion is a script as its files are at a time, and its run.
type scriptVersion struct {
	spec    config.LuaScript
	run     RunningScript
	status  *scriptStatus
	content [sha256.Size]byte // of the files that it runs
	hears   time.Time         // the events that it handles came from then on
}

// newScriptVersion is a version that is to be run.
func newScriptVersion(spec config.LuaScript) *scriptVersion {
	return &scriptVersion{spec: spec, status: newScriptStatus(spec.Path), content: sum(spec, nil)}
}

// started identifies the files of a script that has started; before is of its file before that. If that changed meanwhile it is not known which of
// the two runs: the next reload starts the script again.
func started(spec config.LuaScript, modules []string, before [sha256.Size]byte) [sha256.Size]byte {
	if sum(spec, nil) != before {
		return before
	}
	return sum(spec, modules)
}

// proveTime bounds the main chunk of a new version, as a reload waits for it.
const proveTime = 10 * time.Second

// prove starts the scripts that are new or changed, and has each run its main chunk. On an error nothing is left of them. Calls of prove and apply come
// one after the other; the scripts that run go on meanwhile.
func (h *scriptHost) prove(o *config.Options) (*replacement, error) {
	r := &replacement{host: h, next: make(map[string]*scriptVersion), want: scripts(o)}
	if h.host == nil || !h.port.Reachable() {
		return r, nil
	}
	for _, spec := range r.want {
		if s := h.script(spec.Path); s != nil && s.same(spec) {
			continue
		}
		n := newScriptVersion(spec)
		var err error
		if n.run, err = h.run(h.ctx, spec, n.status); err == nil {
			r.next[spec.Path] = n
			select {
			case err = <-n.run.Ready():
				n.hears = time.Now()
				n.content = started(spec, n.status.get().Modules, n.content)
			case <-time.After(proveTime):
				err = fmt.Errorf("%s: its main chunk has not ended after %v", spec.Path, proveTime)
			}
		}
		if err != nil {
			r.abort()
			return nil, firstLineOf(err)
		}
	}
	return r, nil
}

// firstLineOf leaves the trace of a script's error to the log.
func firstLineOf(err error) error {
	line, _, more := strings.Cut(err.Error(), "\n")
	if !more {
		return err
	}
	return errors.New(line)
}

// abort ends the new versions.
func (r *replacement) abort() {
	for _, n := range r.next {
		if n.run != nil {
			n.run.Stop()
		}
	}
}

// apply puts the new versions in place of the old, and ends scripts that are not wanted any more. It reports whether anything changed.
func (r *replacement) apply() (changed bool) {
	h := r.host
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []*supervised
	for _, spec := range r.want {
		s, n := h.find(spec.Path), r.next[spec.Path]
		switch {
		case s != nil && n != nil:
			s.renew(n)
			changed = true
		case n != nil:
			s = h.supervise(spec, n)
			changed = true
		}
		if s != nil {
			list = append(list, s)
		}
	}
	for _, s := range h.scripts {
		if !slices.Contains(list, s) {
			s.cancel()
			changed = true
		}
	}
	h.scripts = list
	return changed
}

// script is the script of a file that runs, or nil.
func (h *scriptHost) script(path string) *supervised {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.find(path)
}

// find is called under mu.
func (h *scriptHost) find(path string) *supervised {
	for _, s := range h.scripts {
		if s.path == path {
			return s
		}
	}
	return nil
}

// Scripts implements server.Scripter.
func (h *scriptHost) Scripts() []mgmt.ScriptStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []mgmt.ScriptStatus
	for _, s := range h.scripts {
		list = append(list, s.newest())
	}
	return list
}

// run runs one version of a script.
func (h *scriptHost) run(ctx context.Context, spec config.LuaScript, status *scriptStatus) (RunningScript, error) {
	uid, gid := h.privileges.forChildren()
	return h.host.Start(ctx, spec, uid, gid, func(conn net.Conn) {
		_ = h.port.ServeConn(ctx, conn, server.Access{Role: mgmt.RoleAdmin, Name: spec.Path, LogRate: commandsLogged}) // ends with the script
	}, ScriptOutput{
		Log:    h.lg.With(spec.Path).Slog(),
		Print:  func(text string) { h.lg.Msg(logging.Info, "%s: %s", spec.Path, text) },
		Status: func(s mgmt.ScriptStatus) { status.set(s); h.settleLogins() },
		Ask:    h.askAttached,
	})
}

// commandsLogged is how many commands of a script are logged in a second.
const commandsLogged = 200

// askAttached asks the seats of the management port.
func (h *scriptHost) askAttached(ctx context.Context, text bool, name, message string) (string, error) {
	if text {
		return h.port.NeedStr(ctx, name, message)
	}
	ok, err := h.port.NeedOK(ctx, name, message)
	if err != nil || !ok {
		return "cancel", err
	}
	return "ok", nil
}

// sum identifies the files of a script and how it is run.
func sum(spec config.LuaScript, modules []string) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%#v\n", spec)
	for _, path := range append([]string{spec.Path}, modules...) {
		text, _ := os.ReadFile(path) // a file that cannot be read is the script's own error
		fmt.Fprintf(h, "%q\n", text)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
