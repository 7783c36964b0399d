//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A tunnel ends with the command that made it, however that ends; with a sentence where there is still one to say it.
func TestConnectEnds(t *testing.T) {
	vpns(t, func(t *testing.T, program []string) {
		v := newVPN(t, program...)
		disconnect := func(name string) func() {
			return func() {
				if out, err := v.command("disconnect", name).CombinedOutput(); err != nil {
					t.Errorf("disconnect: %v\n%s", err, out)
				}
			}
		}
		kill := func(name string) func() {
			return func() {
				out, err := v.command("-a", name, "pid").Output()
				pid, bad := strconv.Atoi(strings.TrimSpace(string(out)))
				if err != nil || bad != nil || unix.Kill(pid, unix.SIGKILL) != nil {
					t.Errorf("pid %q: %v", out, err)
				}
			}
		}
		for _, tt := range []struct {
			name   string
			once   bool // the server has no part in it: one is enough
			steps  []step
			signal unix.Signal
			code   int
			want   string
		}{
			{name: "killed", steps: steps(login("joe", "moonlight"), connected), signal: unix.SIGKILL, code: -1},
			{name: "killed-asking", once: true, steps: []step{{shows: "user name"}}, signal: unix.SIGKILL, code: -1},
			{name: "quit", once: true, steps: steps(login("joe", "moonlight"), connected), signal: unix.SIGQUIT, want: "disconnected"},
			{name: "hung-up", once: true, steps: steps(login("joe", "moonlight"), connected), signal: unix.SIGHUP, want: "disconnected"},
			{name: "terminated", once: true, steps: steps(login("joe", "moonlight"), connected), signal: unix.SIGTERM, want: "disconnected"},
			{name: "hung-up-asking", once: true, steps: []step{{shows: "user name"}}, signal: unix.SIGHUP, code: 5, want: "interrupted"},
			{name: "told", steps: steps(login("joe", "moonlight"), []step{{shows: up, do: disconnect("told")}}), want: "disconnected"},
			{name: "told-asking", once: true, steps: []step{{shows: "user name", do: disconnect("told-asking")}}, code: 3, want: "another program ended the connection"},
			{name: "daemon-killed", once: true, steps: []step{{shows: "user name", types: "joe\r"}, {shows: "password: ", types: "moonlight\r"}, {shows: up, do: kill("daemon-killed")}}, code: 3, want: "the daemon of this connection was killed (signal: killed): run it again"},
			{name: "daemon-killed-asking", once: true, steps: []step{{shows: "user name", do: kill("daemon-killed-asking")}}, code: 3, want: "the daemon of this connection was killed (signal: killed): run it again"},
		} {
			if tt.once && !v.ours {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				cmd := v.command("connect", v.profile(tt.name))
				out, _, tty := onOwnTerminal(t, cmd)
				play(t, tty, out, tt.steps)
				if tt.signal != 0 {
					cmd.Process.Signal(tt.signal)
				}
				cmd.Wait()
				if code := cmd.ProcessState.ExitCode(); code != tt.code {
					t.Errorf("exit code %d, want %d", code, tt.code)
				}
				eventually(t, tt.want, func() bool { return strings.Contains(out.String(), tt.want) })
				v.gone(t, tt.name)
			})
		}
		t.Run("lost", func(t *testing.T) { connectLosesTheServer(t, v, program) })
		t.Run("background", func(t *testing.T) { connectInTheBackground(t, v) })
	})
}

// connectLosesTheServer tells that the server went, and that it came back.
func connectLosesTheServer(t *testing.T, v *vpn, program []string) {
	line := v.server(program, 7, "server", "udp4", portLost, "--keepalive", "1", "3")
	stop := v.start(line)
	file := v.profile("lost", fmt.Sprint("remote 127.0.0.1 ", portLost), "connect-retry 1 1")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(text), "auth-user-pass\n", "", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, out, wait := onTerminal(t, v.command("connect", file))
	play(t, tty, out, []step{{shows: up, do: stop}, {shows: "trying again", do: func() { v.start(line) }}, {shows: "connected, address", types: "\x03"}})
	if code := wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(out.String(), "trying again"); n != 1 {
		t.Errorf("told %d times that it tries again:\n%s", n, out)
	}
}

// connectInTheBackground leaves a tunnel behind, one for a name, that its user alone reaches.
func connectInTheBackground(t *testing.T, v *vpn) {
	file := v.profile("bg")
	connect := func(steps ...step) (int, string) {
		tty, out, wait := onTerminal(t, v.command("connect", file, "--background"))
		play(t, tty, out, steps)
		return wait(), out.String()
	}
	if code, out := connect(login("joe", "moonlight")...); code != 0 || !strings.Contains(out, "moongate disconnect bg ends it") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if code, out := connect(); code != 6 || !strings.Contains(out, "bg is connected already") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	if st, err := os.Stat(filepath.Join(v.dir, "run", "bg.sock")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", st.Mode(), err)
	}
	for _, words := range [][]string{{"status", "-a", "bg"}, {"targets", "test"}, {"state"}} {
		if out, err := v.command(words...).CombinedOutput(); err != nil || !strings.Contains(string(out), "CONNECTED") {
			t.Errorf("%v: %v\n%s", words, err, out)
		}
	}
	if out, err := v.command("__complete", "disconnect", "b").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "bg\n") {
		t.Errorf("completion: %v\n%s", err, out)
	}
	if out, err := v.command("signal", "SIGHUP").CombinedOutput(); err != nil { // reads the profile again, and logs to nobody
		t.Errorf("SIGHUP: %v\n%s", err, out)
	}
	if out, err := v.command("disconnect", "bg").CombinedOutput(); err != nil {
		t.Errorf("disconnect: %v\n%s", err, out)
	}
	if err := v.command("disconnect", "bg").Run(); err == nil {
		t.Error("a second disconnect works")
	}
	v.gone(t, "bg")
	port := filepath.Join(v.dir, fmt.Sprint(portUDP, ".port"))
	if out, _ := v.command("disconnect", port).CombinedOutput(); v.ours && !strings.Contains(string(out), "is a server") {
		t.Errorf("disconnect of a server: %s", out)
	}

	// Of two at once one goes on.
	var outs [2]*screen
	var ttys [2]*os.File
	var waits [2]func() int
	for i := range outs {
		ttys[i], outs[i], waits[i] = onTerminal(t, v.command("connect", file, "--background"))
	}
	asks := func(i int) bool { return strings.Contains(outs[i].String(), "user name: ") }
	eventually(t, "a question", func() bool { return asks(0) || asks(1) })
	first := 0
	if asks(1) {
		first = 1
	}
	if code := waits[1-first](); code != 6 || !strings.Contains(outs[1-first].String(), "bg is there already") {
		t.Errorf("the second at once: exit code %d\n%s", code, outs[1-first])
	}
	ttys[first].WriteString("\x03")
	if code := waits[first](); code != 5 {
		t.Errorf("the first: exit code %d\n%s", code, outs[first])
	}
	v.gone(t, "bg")
}
