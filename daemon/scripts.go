package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// scriptHost runs the Lua files of the options, each over a management connection of its own inside the process. A
// script that fails is logged, and the daemon goes on without it until a reload.
type scriptHost struct {
	mu      sync.Mutex                // guards running
	running map[string]*runningScript // by path; scripts that ended by themselves stay
}

// runningScript is one Lua file at work.
type runningScript struct {
	content [sha256.Size]byte
	cancel  context.CancelFunc
	greeted chan struct{} // closed when its session has begun, or is over
}

// scripts are the Lua files the options name, without repetitions.
func scripts(o *config.Options) []string {
	var list []string
	for _, path := range o.LuaScripts {
		if !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	return list
}

// startScripts brings the running scripts in line with those that are wanted: new and changed files start, those that are not
// named any more end. Scripts end with ctx. A changed script attaches before its predecessor leaves, so that there is
// always somebody to answer. It reports whether anything changed.
func (p *process) startScripts(ctx context.Context, want []string) (changed bool) {
	h := &p.lua
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(want) > 0 && p.env.RunScript == nil {
		p.Log(1, "W", "WARNING: this build runs no scripts: %s", strings.Join(want, ", "))
		return false
	}
	if h.running == nil {
		h.running = make(map[string]*runningScript)
	}
	for _, path := range want {
		text, _ := os.ReadFile(path) // a file that cannot be read is the script's own error
		sum := sha256.Sum256(text)
		old := h.running[path]
		if old != nil && old.content == sum {
			continue
		}
		changed = true
		next := p.runScript(ctx, path)
		next.content = sum
		h.running[path] = next
		if old != nil {
			<-next.greeted
			old.cancel()
		}
	}
	for path, r := range h.running {
		if !slices.Contains(want, path) {
			r.cancel()
			delete(h.running, path)
			changed = true
		}
	}
	return changed
}

// runScript starts one script.
func (p *process) runScript(ctx context.Context, path string) *runningScript {
	ctx, cancel := context.WithCancel(ctx)
	ours, theirs := net.Pipe()
	conn := &greetedConn{Conn: theirs, greeted: make(chan struct{})}
	p.wg.Go(func() {
		_ = p.port.ServeConn(ctx, ours, server.Access{Role: mgmt.RoleAdmin, Name: path}) // ends with the script
	})
	p.wg.Go(func() {
		defer cancel()
		defer conn.note()
		defer theirs.Close()
		err := p.env.RunScript(ctx, conn, path, ScriptOutput{
			Log:   p.lg.With(path).Slog(),
			Print: func(text string) { p.Log(1, "", "%s: %s", path, text) },
		})
		if err == nil || errors.Is(err, context.Canceled) || ctx.Err() != nil {
			return
		}
		for line := range strings.SplitSeq(strings.TrimRight(err.Error(), "\n"), "\n") {
			p.Log(1, "N", "script %s ended: %s", path, strings.TrimSpace(line))
		}
	})
	return &runningScript{cancel: cancel, greeted: conn.greeted}
}

// greetedConn tells when the first bytes have arrived.
type greetedConn struct {
	net.Conn
	greeted chan struct{}
	once    sync.Once
}

// Read implements net.Conn.
func (c *greetedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.note()
	return n, err
}

func (c *greetedConn) note() { c.once.Do(func() { close(c.greeted) }) }
