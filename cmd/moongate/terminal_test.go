//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// moongate is the test's own binary as moongate.
func moongate(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "MOONGATE_TEST_MAIN=1", "MOONGATE_RUN_DIR=/nowhere")
	return cmd
}

// screen collects what a program writes to its terminal.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// onTerminal starts cmd on a pseudo-terminal.
func onTerminal(t *testing.T, cmd *exec.Cmd) (tty *os.File, out *screen, wait func() int) {
	t.Helper()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	out = &screen{}
	read := make(chan struct{})
	go func() { io.Copy(out, tty); close(read) }()
	var once sync.Once
	wait = func() (code int) {
		once.Do(func() {
			stop := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
			defer stop.Stop()
			cmd.Wait()
			<-read
			tty.Close()
		})
		return cmd.ProcessState.ExitCode()
	}
	t.Cleanup(func() { cmd.Process.Kill(); wait() })
	return tty, out, wait
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func protected(t *testing.T) string {
	d := mgmttest.NewDaemon(t, server.Config{})
	if err := d.Do("mode client"); err != nil {
		t.Fatal(err)
	}
	return d.ListenTCP(server.Access{Passwords: []server.Password{{Text: "moonlight"}}})
}

// At a terminal the management password is asked for, without showing it.
func TestPasswordIsAskedAtTheTerminal(t *testing.T) {
	addr := protected(t)
	dir := t.TempDir()
	good := filepath.Join(dir, "pw")
	if err := os.WriteFile(good, []byte("moonlight\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, typed string
		args        []string
		env         string
		code        int
		asks        bool
	}{
		{"right", "moonlight\r", []string{"pid"}, "", 0, true},
		{"wrong", "sunlight\r", []string{"pid"}, "", 4, true},
		{"interrupted", "moon\x03", []string{"pid"}, "", 5, true},
		{"no answer", "\x04", []string{"pid"}, "", 5, true},
		{"must not ask", "", []string{"pid", "--no-ask"}, "", 4, false},
		{"must not ask by environment", "", []string{"pid"}, "MOONGATE_NO_ASK=1", 4, false},
		{"a file needs no question", "", []string{"pid", "--password-file", good}, "", 0, false},
		{"a variable needs no question", "", []string{"pid"}, "MOONGATE_PASSWORD_FILE=" + good, 0, false},
		{"a reference needs no question", "", []string{"pid", "--password", "file:" + good}, "", 0, false},
		{"a reference to the environment", "", []string{"pid", "--password", "env:PW"}, "PW=moonlight", 0, false},
		{"a reference that is wrong", "", []string{"pid", "--password", "env:NONE"}, "", 4, false},
		{"several targets, one question each", "moonlight\rmoonlight\r", []string{"pid", "-a", protected(t)}, "", 0, true},
		{"a prompt", "moonlight\rexit\r", []string{"attach"}, "", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := moongate(append(tt.args, "-a", addr)...)
			cmd.Env = append(cmd.Env, "TERM=xterm", "HOME="+dir, tt.env)
			tty, out, wait := onTerminal(t, cmd)
			for i, line := range strings.SplitAfter(tt.typed, "\r") {
				if line == "" {
					continue
				}
				eventually(t, "a question", func() bool { return strings.Count(out.String(), ": ")+strings.Count(out.String(), "> ") > i })
				tty.WriteString(line)
			}
			if code := wait(); code != tt.code {
				t.Errorf("exit code %d, want %d\n%s", code, tt.code, out)
			}
			if got := strings.Contains(out.String(), "management password of"); got != tt.asks {
				t.Errorf("asked: %v, want %v\n%s", got, tt.asks, out)
			}
			if strings.Contains(out.String(), "moonl") {
				t.Errorf("the password was shown:\n%s", out)
			}
		})
	}
}

// onOwnTerminal starts cmd on a pseudo-terminal that outlives it. modes are those of the terminal.
func onOwnTerminal(t *testing.T, cmd *exec.Cmd) (out *screen, modes func() unix.Termios, tty *os.File) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	out = &screen{}
	read := make(chan struct{})
	go func() { io.Copy(out, master); close(read) }()
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = slave, slave, slave, controlling
	modes = func() unix.Termios {
		m, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return *m
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		slave.Close()
		<-read
		master.Close()
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return out, modes, master
}

// An interrupted question leaves the terminal as it was.
func TestTheEchoComesBack(t *testing.T) {
	cmd := moongate("pid", "-a", protected(t))
	out, modes, _ := onOwnTerminal(t, cmd)
	before := modes()
	eventually(t, "the question", func() bool { return strings.Contains(out.String(), "management password") })
	cmd.Process.Signal(unix.SIGTERM)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("%v", err)
	}
	if after := modes(); before != after {
		t.Errorf("modes before %+v, after %+v", before, after)
	}
}

// What goes on until interrupted ends by itself once nobody reads its output, before there is anything to write.
func TestFollowersNoticeThatTheirOutputIsGone(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	for _, l := range []string{"mode server", "peer 0 1 laptop 192.0.2.7:40000", "state CONNECTED SUCCESS 10.8.0.1", "log I first", "echo first"} {
		if err := d.Do(l); err != nil {
			t.Fatal(err)
		}
	}
	addr := d.ListenTCP(server.Access{})
	for _, line := range []string{
		"log -f", "state -f", "echo -f", "events -k HOLD", "events -k HOLD --reconnect", "bytecount -f --interval 3600", "clients --watch=1h",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := moongate(append(strings.Fields(line), "-a", addr)...)
			cmd.Stdout = w
			var errs bytes.Buffer
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			if !strings.HasPrefix(line, "events") && !strings.HasPrefix(line, "bytecount") {
				if _, err := r.Read(make([]byte, 1)); err != nil { // it is at work
					t.Fatal(err)
				}
			}
			r.Close()
			ended := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
			defer ended.Stop()
			if err := cmd.Wait(); err != nil || errs.Len() > 0 {
				t.Errorf("%v\n%s", err, errs.String())
			}
		})
	}
}

// A condition that was waited for in vain does not hold because nobody reads any more.
func TestWaitWithoutAReader(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := moongate("wait", "--state", "EXITING", "--timeout", "1h", "-a", d.ListenTCP(server.Access{}))
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Close()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("%v, want exit code 5", err)
	}
}
