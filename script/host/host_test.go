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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/script"
	"github.com/moongate-vpn/moongate/script/host"
)

func TestMain(m *testing.M) {
	host.Enter()
	os.Exit(m.Run())
}

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

// BenchmarkStart measures from the call to a proven main chunk: the bound is 30 ms.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		c, _ := start(b, "moongate.every(60, function() end)", serve(""), host.Spec{})
		if err := <-c.Ready(); err != nil {
			b.Fatal(err)
		}
		rss, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))
		_, rest, _ := strings.Cut(string(rss), "VmRSS:")
		kb, _ := strconv.Atoi(strings.Fields(rest)[0])
		b.ReportMetric(float64(kb)/1024, "idle-MiB")
		c.Stop()
	}
}

// BenchmarkEvents measures events from the daemon's end of the line to the end of a trivial handler: the bound is 100,000 a second.
// The daemon sends a thousand at a time, and goes on when the script says that it has them.
func BenchmarkEvents(b *testing.B) {
	const batch = 1000
	begin := make(chan struct{})
	c, o := start(b, `local n = 0
		moongate.on("notify", function(ev) if ev.type == "remote-exit" then n = n + 1 end end)
		moongate.on("infomsg", function() while n % 1000 ~= 0 do sleep(0.001) end moongate.send("pid") end)
		moongate.on("fatal", function() print(n) moongate.stop() end)`, func(conn net.Conn) {
		fmt.Fprint(conn, greeting)
		<-begin
		in, w := bufio.NewReader(conn), bufio.NewWriterSize(conn, 32<<10)
		for i := 0; i < b.N; i += batch {
			for j := range batch {
				fmt.Fprintf(w, ">NOTIFY:info,remote-exit,%d\r\n", i+j)
			}
			fmt.Fprint(w, ">INFOMSG:there?\r\n")
			_ = w.Flush()
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			fmt.Fprint(w, "SUCCESS: pid=1\r\n")
		}
		fmt.Fprint(w, ">FATAL:end\r\n")
		_ = w.Flush()
		_, _ = in.ReadByte()
	}, host.Spec{})
	if err := <-c.Ready(); err != nil {
		b.Fatal(err)
	}
	c.Begin(true)
	b.ResetTimer()
	close(begin)
	<-c.Done()
	if c.Err() != nil {
		b.Fatal(c.Err())
	}
	n := (b.N + batch - 1) / batch * batch
	if got := strings.Join(o.printed, ""); got != strconv.Itoa(n) {
		b.Errorf("%s events of %d arrived", got, n)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAdmissions measures clients that a script in a process of its own admits: the bound is 1,000 a second.
func BenchmarkAdmissions(b *testing.B) {
	begin := make(chan struct{})
	c, _ := start(b, `moongate.on("client.connect", function(ev)
			if ev.common_name == "laptop" then ev:admit{ 'push "route 10.0.0.0 255.0.0.0"' } else ev:deny("no") end
		end)
		moongate.on("fatal", function() moongate.stop() end)`, func(conn net.Conn) {
		fmt.Fprint(conn, greeting)
		<-begin
		in := bufio.NewReader(conn)
		for i := range b.N {
			fmt.Fprintf(conn, ">CLIENT:CONNECT,%d,1\r\n>CLIENT:ENV,common_name=laptop\r\n>CLIENT:ENV,END\r\n", i)
			for line := ""; line != "END\n"; {
				var err error
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
			fmt.Fprint(conn, "SUCCESS: client-auth command succeeded\r\n")
		}
		fmt.Fprint(conn, ">FATAL:end\r\n")
		_, _ = in.ReadByte()
	}, host.Spec{})
	if err := <-c.Ready(); err != nil {
		b.Fatal(err)
	}
	c.Begin(true)
	b.ResetTimer()
	close(begin)
	<-c.Done()
	if c.Err() != nil {
		b.Fatal(c.Err())
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "clients/s")
}
