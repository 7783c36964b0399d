//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// topScreen is "top" on a pseudo-terminal with a model of its screen.
type topScreen struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File // ours
	far  *os.File // the program's
	vt   vt10x.Terminal
	done chan struct{}
}

func openTop(t *testing.T, cols, rows int, args ...string) *topScreen {
	t.Helper()
	cmd := moongate(append([]string{"top", "--interval", "100ms"}, args...)...)
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", "HOME="+t.TempDir())
	return onScreen(t, cmd, cols, rows)
}

// onScreen starts a program on a pseudo-terminal with a model of its screen.
func onScreen(t *testing.T, cmd *exec.Cmd, cols, rows int) *topScreen {
	t.Helper()
	tty, far, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: uint16(rows), Cols: uint16(cols)}); err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = far, far, far, controlling
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &topScreen{t, cmd, tty, far, vt10x.New(vt10x.WithSize(cols, rows)), make(chan struct{})}
	go func() {
		defer close(x.done)
		buf := make([]byte, 8192)
		for {
			n, err := tty.Read(buf)
			// The model does not know synchronized output and other private modes that real terminals ignore as well.
			x.vt.Write(bytes.ReplaceAll(buf[:n], []byte("\x1b[>0q"), nil))
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		far.Close()
		<-x.done
		tty.Close()
	})
	return x
}

func (x *topScreen) has(want string) {
	x.t.Helper()
	x.until(fmt.Sprintf("%q", want), func(s string) bool { return strings.Contains(s, want) })
}

func (x *topScreen) until(what string, ok func(string) bool) {
	x.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(x.vt.String()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			x.t.Fatalf("waited in vain for %s; the screen:\n%s", what, x.vt.String())
		}
	}
}

func (x *topScreen) press(keys string) {
	x.t.Helper()
	if _, err := x.tty.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

func topDaemon(t *testing.T, clients int) *mgmttest.Daemon {
	t.Helper()
	d := mgmttest.NewDaemon(t, server.Config{})
	lines := []string{"mode server", "state CONNECTED SUCCESS 10.8.0.1", "traffic 1000 2000"}
	for i := range clients {
		lines = append(lines, fmt.Sprintf("peer %d 1 lab-%03d 192.0.2.%d:40000", i, i, i%250+1))
	}
	for _, l := range lines {
		if err := d.Do(l); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// order reports whether a stands above b.
func order(a, b string) func(string) bool {
	return func(s string) bool {
		i, j := strings.Index(s, a), strings.Index(s, b)
		return i >= 0 && j > i
	}
}

// Top driven by keys, on both sizes.
func TestTop(t *testing.T) {
	for _, size := range []struct{ cols, rows int }{{80, 24}, {200, 60}} {
		t.Run(fmt.Sprintf("%dx%d", size.cols, size.rows), func(t *testing.T) {
			t.Parallel()
			d, other := topDaemon(t, 3), topDaemon(t, 0)
			x := openTop(t, size.cols, size.rows, "-a", d.ListenTCP(server.Access{}), "-a", other.ListenTCP(server.Access{}))
			x.has("CONNECTED SUCCESS")
			x.has("lab-002")
			x.has("3 clients")
			if got := strings.Contains(x.vt.String(), "CIPHER"); got != (size.cols == 200) {
				t.Errorf("cipher column: %v\n%s", got, x.vt.String())
			}
			if err := d.Do("traffic 5001000 2000"); err != nil {
				t.Fatal(err)
			}
			x.has("5.0 MB")
			x.press("sss")
			x.has("s sort: name")
			x.until("the names in order", order("lab-000", "lab-002"))
			x.press("r")
			x.until("the other order", order("lab-002", "lab-000"))
			x.press("/*1\r")
			x.until("the filter", func(s string) bool { return strings.Contains(s, "lab-001") && !strings.Contains(s, "lab-000") })
			if err := d.Do("client connect 1 1 common_name=lab-001 password=secret untrusted_ip=192.0.2.2"); err != nil {
				t.Fatal(err)
			}
			x.has("client 1 lab-001  connect")
			x.press("\r")
			x.has("untrusted_ip=192.0.2.2")
			x.has("real address     192.0.2.2:40000")
			if strings.Contains(x.vt.String(), "secret") {
				t.Errorf("a secret is on the screen:\n%s", x.vt.String())
			}
			x.press("q")
			x.has("s sort: name")
			x.press("x")
			x.has("disconnect lab-001? reason")
			x.press("maintenance")
			x.has("maintenance")
			x.press("\r")
			x.has("lab-001 disconnected")
			if calls := strings.Join(d.Ctl.Calls(), "\n"); !strings.Contains(calls, `ClientKill 1 "RESTART,maintenance": true`) {
				t.Errorf("calls:\n%s", calls)
			}
			x.press("\x1b")
			x.has("lab-000")
			x.press("?")
			x.has("the next target")
			x.press("q")
			x.press("\t")
			x.has("(2 of 2)")
			x.has("0 clients")
			other.Stop()
			x.has("not connected: ")
			x.press("q")
			<-wait(x.cmd)
		})
	}
}

func wait(cmd *exec.Cmd) chan struct{} {
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	return done
}

// However it ends, the terminal is as it was: its modes, the usual screen, the cursor.
func TestTopLeavesTheTerminalAsItWas(t *testing.T) {
	addr := topDaemon(t, 1).ListenTCP(server.Access{})
	for name, end := range map[string]func(x *topScreen){
		"q":       func(x *topScreen) { x.press("q") },
		"Ctrl-C":  func(x *topScreen) { x.press("\x03") },
		"SIGTERM": func(x *topScreen) { x.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT":  func(x *topScreen) { x.cmd.Process.Signal(syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := openTop(t, 80, 24, "-a", addr)
			x.has("lab-000")
			before := &unix.Termios{}
			end(x)
			select {
			case <-wait(x.cmd):
			case <-time.After(10 * time.Second):
				t.Fatal("it does not end")
			}
			after, err := unix.IoctlGetTermios(int(x.far.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			master, slave, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer master.Close()
			defer slave.Close()
			if before, err = unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS); err != nil {
				t.Fatal(err)
			}
			if *before != *after {
				t.Errorf("modes of a fresh terminal %+v, after top %+v", before, after)
			}
			if code := x.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			x.until("the usual screen", func(s string) bool { return x.vt.Mode()&vt10x.ModeAltScreen == 0 && x.vt.CursorVisible() })
		})
	}
}

// A terminal without cursor movement gets an error in the place of escape sequences.
func TestTopRefusesADumbTerminal(t *testing.T) {
	cmd := moongate("top", "-a", topDaemon(t, 1).ListenTCP(server.Access{}))
	cmd.Env = append(cmd.Env, "TERM=dumb", "HOME="+t.TempDir())
	x := onScreen(t, cmd, 80, 24)
	x.has("moongate: top needs a terminal that moves its cursor")
	<-wait(cmd)
	if code := cmd.ProcessState.ExitCode(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}

// At 1,000 clients and its usual interval top takes at most 2 % of a core. The soak of this name measures for longer.
func TestTopIsCheap(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for seconds")
	}
	topIsCheap(t, 6*time.Second)
}

// topIsCheap runs two screens over one daemon, and only one of them looks at it again: the difference is the cost of looking.
func topIsCheap(t *testing.T, window time.Duration) {
	const interval = 2 * time.Second
	a := topDaemon(t, 1000).ListenTCP(server.Access{})
	x, still := openTop(t, 200, 60, "-a", a, "--interval", interval.String()), openTop(t, 200, 60, "-a", a, "--interval", "1h")
	x.has("1000 clients")
	still.has("1000 clients")
	time.Sleep(time.Second)
	began, was, stillWas := time.Now(), x.used(), still.used()
	time.Sleep(window)
	took, used, idle := time.Since(began), x.used()-was, still.used()-stillWas
	share := 100 * float64(used) / float64(took)
	looks := float64(took) / float64(interval)
	t.Logf("%.2f %% of a core; a look at the daemon takes %.1f ms", share, float64(used-idle)/looks/float64(time.Millisecond))
	if share > 2 && !raceEnabled {
		t.Errorf("top takes %.2f %% of a core at 1,000 clients, want at most 2", share)
	}
}

// used is the time that the program has had a core.
func (x *topScreen) used() (sum time.Duration) {
	x.t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", x.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		x.t.Fatalf("no threads of top: %v", err)
	}
	for _, file := range threads {
		b, err := os.ReadFile(file)
		if err != nil {
			x.t.Fatal(err)
		}
		var ran time.Duration
		if _, err := fmt.Sscan(string(b), &ran); err != nil {
			x.t.Fatal(err)
		}
		sum += ran
	}
	return sum
}
