package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/luahost"
	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// logBuffer is a log that is read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A script's error is told with file, line and trace; the daemon and the other scripts go on.
func TestScriptErrorsInTheDaemonsLog(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	main := write("main.lua", "local function inner()\n  error('out of luck')\nend\ninner()\n")
	handler := write("handler.lua", "moongate.on('hold', function(ev)\n  local x = nil + 1\nend)\n")
	good := write("good.lua", "moongate.on('hold', function(ev) print('held, as for ' .. ev.seconds) end)\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := &logBuffer{}
	done := make(chan int)
	go func() {
		done <- daemon.Main(ctx, []string{
			"--client", "--remote", "127.0.0.1", "--dev", "null", "--management-hold", "--ca", "/dev/null", "--auth-user-pass", "/dev/null",
			"--script", main, "--script", handler, "--script", good,
		}, daemon.Env{Stdin: strings.NewReader(""), Stdout: log, Stderr: log, NoSignals: true, Scripts: luahost.Host{}})
	}()
	for _, want := range []string{
		"script " + main + " ended: " + main + ":2: out of luck", "in function 'inner'",
		"handler.lua", "line=2", "held, as for 0",
	} {
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), want); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("the log does not tell %q", want)
				break
			}
		}
	}
	select {
	case code := <-done:
		t.Errorf("the daemon ended with %d", code)
	default:
		cancel()
		<-done
	}
	if t.Failed() {
		t.Logf("the log:\n%s", log)
	}
}

// A script that changes is loaded again with --watch, and on SIGHUP, and stays when the new version is broken.
func TestRunWatch(t *testing.T) {
	runAgain(t, func() {}, "--watch")
}

func TestRunOnSIGHUP(t *testing.T) {
	runAgain(t, func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	})
}

// runAgain changes a script that runs with flags; tell is called after each change.
func runAgain(t *testing.T, tell func(), flags ...string) {
	t.Helper()
	d := mgmttest.NewDaemon(t, server.Config{})
	defer d.Stop()
	path := filepath.Join(t.TempDir(), "watched.lua")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	every := func(name string) string { return `moongate.every(0.01, function() print("` + name + `") end)` }
	write(every("one"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &logBuffer{}
	e := &env.Env{In: strings.NewReader(""), Out: out, Err: out, Getenv: func(string) string { return "" }}
	addr := d.ListenTCP(server.Access{})
	done := make(chan int)
	go func() { done <- cli.Run(ctx, e, "test", append([]string{"run", path, "-a", addr}, flags...)) }()
	soon := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), want); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in:\n%s", want, out)
			}
		}
	}
	soon("one\n")
	write("moongate.on('nonsense', print)\n")
	tell()
	soon("not loaded again, the old version stays: " + path + `:1: bad argument #1 to on (unknown event \"nonsense\")`)
	write("x = = 1\n")
	tell()
	soon(path + ":1: near '=': syntax error")
	write(every("two"))
	tell()
	soon("two\n")
	if i := strings.LastIndex(out.String(), "one\n"); i > strings.Index(out.String(), "loaded again\"") {
		time.Sleep(100 * time.Millisecond)
		if j := strings.LastIndex(out.String(), "one\n"); j != i {
			t.Error("the old version goes on")
		}
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d", code)
	}
}
