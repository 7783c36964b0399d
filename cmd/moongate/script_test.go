package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon"
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
		}, daemon.Env{Stdin: strings.NewReader(""), Stdout: log, Stderr: log, NoSignals: true, RunScript: runScript})
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
