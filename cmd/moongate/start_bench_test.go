package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// The times that a person and a script wait for: `moongate status` from its start to its end (at most 15 ms), and the prompt from its start until it is
// open (at most 30 ms), with the program as it is released. TestTopIsCheap measures top.
func BenchmarkStart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "moongate")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	d := mgmttest.NewDaemon(b, server.Config{})
	if err := d.Do("mode client"); err != nil {
		b.Fatal(err)
	}
	addr := d.ListenTCP(server.Access{})
	home := b.TempDir()
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, append([]string{"-a", addr}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+home, "TERM=xterm-256color")
		return cmd
	}
	b.Run("status", func(b *testing.B) {
		for b.Loop() {
			if out, err := command("status").CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
		}
	})
	b.Run("prompt", func(b *testing.B) {
		for b.Loop() {
			cmd := command("attach")
			tty, far, err := pty.Open()
			if err != nil {
				b.Fatal(err)
			}
			cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = far, far, far, controlling
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			if !shows(tty, "moongate>") {
				b.Error("no prompt within 15 s")
			}
			b.StopTimer()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			far.Close()
			tty.Close()
			b.StartTimer()
		}
	})
}

// shows reads until a text has come, for 15 seconds at most.
func shows(r *os.File, text string) bool {
	late := time.AfterFunc(15*time.Second, func() { r.Close() })
	defer late.Stop()
	var seen bytes.Buffer
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		seen.Write(buf[:n])
		if bytes.Contains(seen.Bytes(), []byte(text)) {
			return true
		}
		if err != nil && err != io.EOF {
			return false
		}
	}
}
