//go:build linux

package test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A log in a folder that is not there is worth stock's warning, where the output went before, and no more.
func TestLogIntoAMissingFolder(t *testing.T) {
	t.Parallel()
	for name, start := range programs {
		for _, option := range []string{"--log", "--log-append"} {
			l := newLab(t)
			path := l.file("no-such-folder/vpn.log")
			p := start(t, l.server, l.serverArgs(option, path))
			p.WaitLine(t, up, upLimit)
			if want := "Warning: Error redirecting stdout/stderr to --log file: " + path + ": No such file or directory (errno=2)"; !strings.Contains(p.Log(), want) {
				t.Errorf("%s %s: no %q in\n%s", name, option, want, p.Log())
			}
			terminate(t, p)
		}
	}
}

// Rotations: a log that is cut has no hole, a log that is renamed is opened anew by SIGHUP, for clients and servers, and by
// "reload"; a configuration with a mistake does not stand in the way.
func TestLogRotation(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.revocations(t)
	path := l.file("server.log")
	config := l.configure(t, "log "+path)
	server := ours(t, l.server, []string{"--config", config})
	written(t, path, up)
	port := manage(t, l.file("server.sock"))
	client := ours(t, l.client, l.clientArgs("--log", l.file("client.log")))
	written(t, l.file("client.log"), up)

	for _, r := range []struct {
		name string
		path string
		do   func()
		want string
	}{
		{"SIGHUP of a server", path, func() { server.Signal(t, syscall.SIGHUP) }, "Reload: nothing changed"},
		{"reload", path, func() { do(t, port, "reload") }, "Reload: nothing changed"},
		{"a reload that fails", path, func() {
			good := read(config)
			l.write(t, filepath.Base(config), []byte(good+"no-such-option\n"))
			server.Signal(t, syscall.SIGHUP)
			written(t, path, "Reload failed, nothing was changed")
			l.write(t, filepath.Base(config), []byte(good))
		}, "Reload failed"},
		{"SIGHUP of a client", l.file("client.log"), func() { client.Signal(t, syscall.SIGHUP) }, up},
	} {
		if err := os.Truncate(r.path, 0); err != nil {
			t.Fatal(err)
		}
		if r.path == path {
			server.Signal(t, syscall.SIGUSR2)
			written(t, path, "CLIENT LIST")
		} else {
			client.Signal(t, syscall.SIGUSR2)
			written(t, r.path, "STATISTICS")
		}
		if b := read(r.path); strings.Contains(b, "\x00") {
			t.Errorf("%s: a hole in the log that was cut: %d bytes", r.name, bytes.Count([]byte(b), []byte{0}))
		}
		if err := os.Rename(r.path, r.path+".1"); err != nil {
			t.Fatal(err)
		}
		r.do()
		written(t, r.path, r.want)
	}
	terminate(t, client)
	terminate(t, server)
}

// written waits until a file holds a text.
func written(t *testing.T, path, text string) {
	t.Helper()
	waitFor(t, text+" in "+path, func() bool { return strings.Contains(read(path), text) })
}
