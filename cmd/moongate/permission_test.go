//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// A socket, or the folder of sockets, that is for another user is a refusal, told as one.
func TestSocketsOfOthers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("root may become another user")
	}
	dir, err := os.MkdirTemp("", "mg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	open, closed := filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	for path, mode := range map[string]os.FileMode{dir: 0o755, open: 0o755, closed: 0o750} {
		if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	d := mgmttest.NewDaemon(t, server.Config{})
	for _, folder := range []string{open, closed} {
		ln, err := server.ListenUnixMode(filepath.Join(folder, "office.sock"), 0o600, -1)
		if err != nil {
			t.Fatal(err)
		}
		go d.Server.Serve(t.Context(), ln, server.Access{}) // ends with the daemon
	}
	for _, tt := range []struct {
		name, line, folder string
		code               int
		says               string
	}{
		{"a socket by its path", "pid -a " + open + "/office.sock", "/nowhere", 4, "for another user or group"},
		{"a socket by its name", "status -a office", open, 4, "for another user or group"},
		{"the only socket", "signal USR1", open, 4, "for another user or group"},
		{"a socket in a closed folder", "kill laptop -a " + closed + "/office.sock", "/nowhere", 4, "for another user or group"},
		{"a name in a closed folder", "clients -a office", closed, 4, "is not for this user"},
		{"a name that nothing has", "clients -a office", "/nowhere", 2, "no names are known here"},
		{"looked at once", "wait --state CONNECTED --timeout 0 -a " + open + "/office.sock", "/nowhere", 4, "for another user or group"},
		{"waited for: it may be opened yet", "wait --state CONNECTED --timeout 2s -a " + open + "/office.sock", "/nowhere", 5, "permission denied"},
		{"tested", "targets test", open, 4, "permission denied"},
		{"a prompt", "attach office", open, 4, "for another user or group"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("/proc/self/exe", strings.Fields(tt.line)...) // by its path others could not reach it
			cmd.Env = append(os.Environ(), "MOONGATE_TEST_MAIN=1", "MOONGATE_RUN_DIR="+tt.folder, "HOME=/nowhere", "MOONGATE_NO_ASK=1", "MOONGATE_ADDR=")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			cmd.Dir = "/"
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit code %d, want %d and %q\n%s", code, tt.code, tt.says, out.String())
			}
		})
	}
}
