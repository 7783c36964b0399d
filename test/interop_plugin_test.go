//go:build linux

package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

// builtPlugins builds the helper program and the probe of testdata, once, and returns the path of the probe. Daemons of ours
// that start later use the helper.
var builtPlugins = sync.OnceValues(func() (string, error) {
	if _, err := released(); err != nil { // makes the folder that TestMain removes
		return "", err
	}
	var all error
	cc := func(out string, args ...string) string {
		path := filepath.Join(releasedDir, out)
		cmd := exec.Command("cc", append([]string{"-O1", "-g", "-Wall", "-Wextra", "-Werror", "-I../cmd/moongate-plugin", "-o", path}, args...)...)
		if text, err := cmd.CombinedOutput(); err != nil {
			all = errors.Join(all, fmt.Errorf("%w\n%s", err, text))
		}
		return path
	}
	sources, err := filepath.Glob("../cmd/moongate-plugin/*.c")
	if err != nil {
		return "", err
	}
	all = errors.Join(all, os.Setenv(plugin.HelperVariable, cc("moongate-plugin", append(sources, "-ldl")...)))
	probe := cc("probe.so", "-shared", "-fPIC", "testdata/plugin/probe.c")
	return probe, all
})

// probe is the test plugin.
func probe(t testing.TB) string {
	t.Helper()
	daemontest.RequireRoot(t)
	path, err := builtPlugins()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// startWith starts a daemon of either kind by a shell, which prepares its mounts: text is in front of it.
func (l *lab) startWith(t testing.TB, who, text string, args []string) *daemontest.Process {
	t.Helper()
	probe(t)
	words := []string{"env", "HOME=/"}
	if who == "stock" {
		words = append(words, daemontest.RequireOpenVPN(t))
	} else {
		words = append(words, program(t))
	}
	return l.server.Start(t, "sh", append([]string{"-c", text + "\n" + `exec "$@"`, "sh"}, append(words, args...)...)...)
}

// pam is a service "vpn" of PAM that lets alice in with the password "secret", for a daemon that starts after the text.
func (l *lab) pam(t *testing.T) (text string) {
	t.Helper()
	check := l.script(t, "pam.sh", `read -r pass; [ "$PAM_USER/$pass" = alice/secret ]`)
	dir := l.file("pam.d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l.write(t, "pam.d/vpn", []byte("auth requisite pam_exec.so expose_authtok quiet "+check+"\naccount required pam_permit.so\n"))
	return "mount --bind " + dir + " /etc/pam.d"
}

// logins are logins at a server: what the client reads after AUTH_FAILED, or "in".
func (l *lab) logIn(t *testing.T, s *daemontest.Process, user, pass string) {
	t.Helper()
	s.WaitLine(t, up, upLimit)
	c := stock(t, l.client, l.clientArgs("--auth-user-pass", l.login(t, user, pass), "--auth-retry", "none"))
	c.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	terminate(t, c)
}

func (l *lab) logInRefused(t *testing.T, user, pass, told string) {
	t.Helper()
	c := stock(t, l.client, l.clientArgs("--auth-user-pass", l.login(t, user, pass), "--auth-retry", "none"))
	if line := c.WaitLine(t, "AUTH_FAILED", upLimit); !strings.HasSuffix(line, "AUTH_FAILED"+told) {
		t.Errorf("the client reads %q, want AUTH_FAILED%s", line, told)
	}
	_ = c.Wait(t, upLimit)
}

// The plugin lines of a log, without time.
func pluginLines(log string) []string {
	var lines []string
	for line := range strings.SplitSeq(log, "\n") {
		if n := strings.Index(line, "PLUGIN"); n >= 0 {
			lines = append(lines, strings.TrimRight(line[n:], " "))
		}
	}
	return lines
}

func TestPluginAuthPAM(t *testing.T) {
	for _, who := range []string{"stock", "ours"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := l.startWith(t, who, l.pam(t), l.serverArgs("--plugin", "openvpn-plugin-auth-pam.so", "vpn login USERNAME password PASSWORD",
				"--verify-client-cert", "none", "--username-as-common-name", "--user", "nobody", "--persist-key", "--persist-tun"))
			l.logIn(t, s, "alice", "secret")
			l.logInRefused(t, "alice", "wrong", "")
			s.WaitLine(t, "PLUGIN AUTH-PAM: BACKGROUND: user 'alice' failed to authenticate", upLimit)
			s.WaitLine(t, "PLUGIN_CALL: plugin function PLUGIN_AUTH_USER_PASS_VERIFY failed with status 1: openvpn-plugin-auth-pam.so", upLimit)
			l.logIn(t, s, "alice", "secret")
		})
	}
}
