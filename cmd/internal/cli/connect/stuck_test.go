//go:build unix

package connect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// soon is --timeout of these tests, long enough for what comes before a wait. A wait that ignores it takes at least stuck.
const (
	soon  = 3 * time.Second
	stuck = 60 * time.Second
)

// stuckSession is a session with a time limit, and what it says.
func stuckSession(t *testing.T) (*session, *bytes.Buffer) {
	t.Helper()
	said := new(bytes.Buffer)
	e := &env.Env{
		Err: said, Out: io.Discard, Getenv: func(string) string { return "" }, Timeout: stuck,
		CheckConfig: func([]string) []report.Finding { return nil },
	}
	return newSession(e, Options{name: "office", timeout: soon, browser: "open"}), said
}

// starting bounds what comes before the daemon, as run does.
func starting(t *testing.T, s *session) context.Context {
	ctx, cancel := context.WithDeadline(t.Context(), s.deadline)
	t.Cleanup(cancel)
	return ctx
}

// program is a shell script in the daemon's place.
func program(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "daemon")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// silentDaemon greets and answers nothing.
func silentDaemon(t *testing.T) *client.Client {
	t.Helper()
	sock := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			io.WriteString(conn, ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n")
		}
	}()
	c, err := client.Dial(t.Context(), sock, client.Options{DialTimeout: stuck, GreetingTimeout: stuck, ReplyTimeout: stuck})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Each wait of connect holds its time limit, whatever is stuck.
func TestStuck(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T, dir, text string) error {
		s, _ := stuckSession(t)
		_, err := s.begin(starting(t, s), filepath.Join(dir, "office.sock"), program(t, dir, text), nil)
		return err
	}
	for _, tt := range []struct {
		name string
		wait func(t *testing.T, dir string) error
		want string // of the error
	}{
		{"a file of the profile", func(t *testing.T, dir string) error {
			s, _ := stuckSession(t)
			pipe := filepath.Join(dir, "pipe")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { // lets the reader go
				if f, err := os.OpenFile(pipe, os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
					f.Close()
				}
			})
			file := filepath.Join(dir, "office.ovpn")
			if err := os.WriteFile(file, []byte("client\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.o.file = file
			s.e.Getenv = func(name string) string { return map[string]string{"MOONGATE_RUN_DIR": dir}[name] }
			s.e.CheckConfig = func([]string) []report.Finding {
				os.ReadFile(pipe)
				return nil
			}
			return run(t.Context(), s.e, s.o)
		}, "cannot be read"},
		{"another connect that starts", func(t *testing.T, dir string) error {
			unlock, err := lock(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(unlock)
			return begin(t, dir, "exit 0")
		}, "another moongate connect"},
		{"a daemon that greets nobody", func(t *testing.T, dir string) error {
			l, err := net.Listen("unix", filepath.Join(dir, "office.sock"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			return begin(t, dir, "exit 0")
		}, "is in use"},
		{"a daemon without a port", func(t *testing.T, dir string) error { return begin(t, dir, "exec sleep 90") }, "does not open its port"},
		{"a daemon whose child holds its output", func(t *testing.T, dir string) error {
			return begin(t, dir, "echo Options error: no; sleep 2 & exit 1")
		}, "Options error: no"},
		{"commands", func(t *testing.T, dir string) error {
			s, _ := stuckSession(t)
			s.c = silentDaemon(t)
			return s.run(t.Context())
		}, "no answer from the server"},
		{"a command after an answer", func(t *testing.T, dir string) error {
			s, _ := stuckSession(t)
			s.c = silentDaemon(t)
			return s.orLate(t.Context(), s.send(t.Context(), "hold", "release"))
		}, "no answer from the server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "mg-stuck-") // short: a socket's path is
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			start := time.Now()
			err = tt.wait(t, dir)
			if took := time.Since(start); took > stuck/2 {
				t.Errorf("took %v with a time limit of %v", took, soon)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if late := strings.Contains(tt.want, "cannot be read") || strings.HasPrefix(tt.want, "no answer"); late && !errors.Is(err, env.ErrTimeout) {
				t.Errorf("error %v is no timeout", err)
			}
		})
	}
}

// The end of a daemon holds its time limit: the daemon that ignores all requests, and what its scripts left behind.
func TestStuckAtTheEnd(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	for _, tt := range []struct {
		name, program string
		port          bool // there, and silent
	}{
		{"deaf", "trap '' TERM INT HUP; while :; do sleep 0.1; done", false},
		{"deaf with a port", "trap '' TERM INT HUP; while :; do sleep 0.1; done", true},
		{"gone with a child behind", "sleep 60 & exit 0", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := start(program(t, t.TempDir(), tt.program), nil)
			if err != nil {
				t.Fatal(err)
			}
			var c *client.Client
			if tt.port {
				c = silentDaemon(t)
			}
			begun := time.Now()
			d.end(c, limit, func() {})
			if took := time.Since(begun); took > stuck/2 {
				t.Errorf("took %v with a limit of %v", took, limit)
			}
			if !d.ended(stuck / 2) {
				t.Error("the process is still there")
			}
		})
	}
	t.Run("socket of another that starts", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		unlock, err := lock(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		begun := time.Now()
		sweep(t.Context(), filepath.Join(dir, "s"))
		if took := time.Since(begun); took > stuck/2 {
			t.Errorf("took %v", took)
		}
	})
}

// Trouble that ends the attempt soon does not put the end off each time it is told.
func TestTroubleNeverPutsTheEndOff(t *testing.T) {
	s, _ := stuckSession(t)
	s.o.timeout = time.Minute
	s.deadline = time.Now().Add(time.Minute)
	s.logged("Your certificate has expired")
	first := s.deadline
	if left := time.Until(first); left > 10*time.Second {
		t.Fatalf("%v left", left)
	}
	for range 3 {
		time.Sleep(time.Millisecond)
		s.logged("Your certificate has expired")
	}
	if !s.deadline.Equal(first) {
		t.Errorf("the end moved by %v", s.deadline.Sub(first))
	}
}

// A browser that neither ends nor opens holds up nobody, and Ctrl-C less.
func TestStuckBrowser(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte("#!/bin/sh\nexec sleep 5\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	getenv := func(name string) string { return map[string]string{"DISPLAY": ":0"}[name] }
	begun := time.Now()
	if !open(ctx, getenv, "https://vpn.example.com/") {
		t.Error("the browser that starts is not counted")
	}
	if took := time.Since(begun); took >= opening {
		t.Errorf("took %v after Ctrl-C", took)
	}
}
