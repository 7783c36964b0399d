// Package luahost gives the daemon its Lua: each script in a process of its own, or inside the daemon where the options say so.
package luahost

import (
	"context"
	"fmt"
	"net"

	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script"
	"github.com/moongate-vpn/moongate/script/host"
)

// Host implements daemon.ScriptHost.
type Host struct{}

// Check compiles a script.
func (Host) Check(path string) error { return script.Check(path) }

// Start runs a script.
func (Host) Start(ctx context.Context, s config.LuaScript, uid, gid int, serve func(net.Conn), out daemon.ScriptOutput) (daemon.RunningScript, error) {
	allow, err := script.ParseAllow(s.Allow...)
	if err != nil {
		return nil, fmt.Errorf("script %s: %w", s.Path, err)
	}
	if s.InProcess || !host.Supported {
		return startInside(ctx, s, allow, serve, out)
	}
	c, err := host.Start(ctx, host.Spec{
		Path: s.Path, Args: s.Args, ReadDirs: s.Read, Allow: allow, Memory: int64(s.Memory) << 20, Timeout: s.Timeout, Burst: s.Burst,
		UID: uid, GID: gid,
	}, serve, host.Output{Log: out.Log, Print: out.Print, Status: out.Status, Ask: asker(out)})
	if err != nil {
		return nil, err
	}
	return traced{c}, nil
}

// asker puts a script's questions to the daemon.
func asker(out daemon.ScriptOutput) func(context.Context, script.Question) (string, error) {
	return func(ctx context.Context, q script.Question) (string, error) {
		return out.Ask(ctx, q.Text, q.Name, q.Message)
	}
}

// inside is a script in the daemon's own process.
type inside struct {
	*script.Instance
}

// Probe does nothing: a script within the daemon lives as long as that.
func (inside) Probe() {}

func startInside(ctx context.Context, s config.LuaScript, allow script.Allow, serve func(net.Conn), out daemon.ScriptOutput) (daemon.RunningScript, error) {
	p, err := script.Prepare(s.Path)
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	go func() {
		defer ours.Close()
		serve(ours)
	}()
	c, err := client.New(ctx, theirs, client.Options{})
	if err != nil {
		return nil, err
	}
	i := p.Start(ctx, c, script.Options{
		Args: s.Args, ReadDirs: s.Read, Memory: int64(s.Memory) << 20, HandlerTimeout: s.Timeout, Burst: s.Burst, Allow: allow,
		Log: out.Log, Print: out.Print, Status: out.Status, Ask: asker(out), SharedLog: true,
	})
	go func() {
		<-i.Done()
		_ = c.Close()
	}()
	return traced{inside{i}}, nil
}

// traced adds the trace to a script's error, for the log.
type traced struct{ daemon.RunningScript }

// Err implements daemon.RunningScript.
func (t traced) Err() error {
	err := t.RunningScript.Err()
	if e, ok := err.(*script.Error); ok && e.Trace != "" { //nolint:errorlint // wrapped ones say more
		return fmt.Errorf("%w\n%s", e, e.Trace)
	}
	return err
}
