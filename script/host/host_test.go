//go:build linux

package host_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/script"
	"github.com/moongate-vpn/moongate/script/host"
)

const greeting = ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n"

// told is what a child told.
type told struct {
	mu      sync.Mutex
	printed []string
	log     bytes.Buffer
	status  mgmt.ScriptStatus
}

func (o *told) output() host.Output {
	return host.Output{
		Log:    slog.New(slog.NewTextHandler(&o.log, nil)),
		Print:  func(s string) { o.mu.Lock(); o.printed = append(o.printed, s); o.mu.Unlock() },
		Status: func(s mgmt.ScriptStatus) { o.mu.Lock(); o.status = s; o.mu.Unlock() },
	}
}

// serve greets, sends head and answers every command.
func serve(head string) func(net.Conn) {
	return func(c net.Conn) {
		fmt.Fprint(c, greeting+head)
		for in := bufio.NewReader(c); ; {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			fmt.Fprint(c, "SUCCESS: ok\r\n")
		}
	}
}

func start(t testing.TB, src string, serve func(net.Conn), spec host.Spec) (*host.Child, *told) {
	t.Helper()
	spec.Path = filepath.Join(t.TempDir(), "t.lua")
	if err := os.WriteFile(spec.Path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	spec.UID, spec.GID = -1, -1
	o := &told{}
	c, err := host.Start(t.Context(), spec, serve, o.output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c, o
}

func wait(t testing.TB, c *host.Child) error {
	t.Helper()
	select {
	case <-c.Done():
		return c.Err()
	case <-time.After(20 * time.Second):
		t.Fatal("the child goes on")
		return nil
	}
}

// What a script prints, logs and ends with arrives.
func TestChild(t *testing.T) {
	c, o := start(t, `
		print("hello", moongate.args[1], send("pid").text)
		log.warn("careful", {a = 1})
		moongate.on("infomsg", function(ev) print(ev.message) moongate.stop(3) end)`, serve(">INFOMSG:one\r\n"), host.Spec{Args: []string{"x"}})
	if err := <-c.Ready(); err != nil {
		t.Fatal(err)
	}
	c.Begin(true)
	var exit *script.ExitError
	if err := wait(t, c); !errors.As(err, &exit) || exit.Code != 3 {
		t.Errorf("error %v", err)
	}
	if got := strings.Join(o.printed, "|"); got != "hello\tx\tok|one" {
		t.Errorf("printed %q", got)
	}
	if got := o.log.String(); !strings.Contains(got, "careful") || !strings.Contains(got, "a=1") || !strings.Contains(got, "script=t.lua") {
		t.Errorf("logged %s", got)
	}
	if o.status.State != mgmt.ScriptRunning && o.status.State != mgmt.ScriptReady {
		t.Errorf("status %+v", o.status)
	}
}

func TestChildErrors(t *testing.T) {
	for src, want := range map[string]string{
		"x = = 1":           "t.lua:1: near '='",
		"local x\nx.y = 1":  "t.lua:2: attempt to index x, which is nil, with key 'y'",
		"while true do end": "t.lua:1: too much processor time",
		"exec{'true'}":      "exec is not allowed",
	} {
		c, _ := start(t, src, serve(""), host.Spec{})
		if err := <-c.Ready(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", src, err, want)
		}
		if err := wait(t, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: end %v, want %q", src, err, want)
		}
	}
	if _, err := host.Start(t.Context(), host.Spec{Path: "/none.lua"}, serve(""), (&told{}).output()); err == nil {
		t.Error("a file that is not there was started")
	}
}

// A child ends with its parent's end of the line, a kill, and the context.
func TestChildEnds(t *testing.T) {
	idle := "moongate.every(60, function() end)"
	c, _ := start(t, idle, serve(""), host.Spec{})
	<-c.Ready()
	if err := syscall.Kill(c.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, c); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "t.lua")
	os.WriteFile(path, []byte(idle), 0o600)
	c, err := host.Start(ctx, host.Spec{Path: path, UID: -1, GID: -1}, serve(""), (&told{}).output())
	if err != nil {
		t.Fatal(err)
	}
	<-c.Ready()
	cancel()
	if err := wait(t, c); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	c, _ = start(t, idle, func(conn net.Conn) { fmt.Fprint(conn, greeting); time.Sleep(50 * time.Millisecond) }, host.Spec{})
	if err := wait(t, c); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("error %v", err)
	}
}

// A program that a script starts has none of its descriptors, and one that stays behind does not hold up its end.
func TestProgramsHaveNoDescriptors(t *testing.T) {
	c, o := start(t, `
		local r = exec{"sh", "-c", "ls /proc/$$/fd; sleep 300 & echo $!"}
		print((r.stdout:gsub("%s+", " ")))
		moongate.every(60, function() end)`, serve(""), host.Spec{Allow: script.Allow{Exec: true}})
	if err := <-c.Ready(); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(o.printed[0])
	pid, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	for _, ours := range []string{"3", "4", "5"} { // others may be those of the test's own parents
		if slices.Contains(words[:len(words)-1], ours) {
			t.Errorf("descriptors %v", words)
		}
	}
	if err := syscall.Kill(c.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, c); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("error %v", err)
	}
}

// A script in a process of its own cannot have the address of another one; its next version can, and it is free when the process is gone.
func TestAddressesOfProcesses(t *testing.T) {
	const serves = `local h, err = http.serve(moongate.args[1], print) print(h and "serves" or err)`
	at := filepath.Join(t.TempDir(), "sock")
	spec := host.Spec{Args: []string{at}, Allow: script.Allow{HTTP: true}, UID: -1, GID: -1}
	said := func(o *told) string {
		for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			o.mu.Lock()
			text := strings.Join(o.printed, "\n")
			o.mu.Unlock()
			if text != "" || time.Now().After(deadline) {
				return text
			}
		}
	}
	first, heard := start(t, serves, serve(""), spec)
	first.Begin(true)
	if got := said(heard); got != "serves" {
		t.Fatalf("the first: %q", got)
	}
	_, heard = start(t, serves, serve(""), spec)
	if got := said(heard); !strings.HasPrefix(got, "serve "+at+": the script /") || !strings.HasSuffix(got, "t.lua serves there") {
		t.Errorf("another script: %q", got)
	}
	first.Stop()
	_, heard = start(t, serves, serve(""), spec)
	if got := said(heard); got != "serves" {
		t.Errorf("when the first is gone: %q", got)
	}
}

// A process that the system gives no memory ends, and its end says why.
func TestNoMemoryForAProcess(t *testing.T) {
	c, _ := start(t, `hoard = {} every(0.001, function() hoard[#hoard + 1] = ("x"):rep(1e6) .. #hoard end)`, serve(""), host.Spec{Memory: 1 << 30})
	if err := <-c.Ready(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(c.PID(), unix.RLIMIT_AS, &unix.Rlimit{Cur: 1, Max: 1}, nil); err != nil {
		t.Fatal(err)
	}
	c.Begin(true)
	// The race detector has words of its own for it.
	if err := wait(t, c); !strings.Contains(err.Error(), "its process died: exit status ") || !strings.HasSuffix(err.Error(), ")") {
		t.Errorf("error %v", err)
	}
}
