//go:build linux

package test

import (
	"strings"
	"syscall"
	"testing"
)

// After a reload that adds a verifier of logins, a client that is there logs in anew and stays: at its next renewal, where stock's SIGHUP sends
// all away at once.
func TestReloadAddsAVerifier(t *testing.T) {
	t.Parallel()
	for name, start := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			verify := l.script(t, "verify.sh", `echo "$username" >>`+l.file("asked")+`; [ "$username" = alice ]`)
			lines := strings.Join(configLines(l.serverArgs("--explicit-exit-notify", "1", "--reneg-sec", "0")), "\n") + "\n"
			config := l.write(t, "server.conf", []byte(lines))
			s := start(t, l.server, []string{"--config", config})
			s.WaitLine(t, up, upLimit)
			c := stock(t, l.client, l.clientArgs("--auth-user-pass", l.login(t, "alice", "secret"), "--reneg-sec", "6", "--nobind"))
			c.WaitLine(t, up, upLimit)
			from := c.Lines()
			l.write(t, "server.conf", []byte(lines+"script-security 2\nauth-user-pass-verify "+verify+" via-file\ntmp-dir "+l.dir+"\n"))
			s.Signal(t, syscall.SIGHUP)
			await(t, "the verifier is asked", upLimit, func() bool { return strings.Contains(fileText(l.file("asked")), "alice") })
			c.WaitLineAfter(t, from, up, upLimit)
			ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
		})
	}
}

// configLines are the lines of a configuration file with these arguments.
func configLines(args []string) []string {
	var lines []string
	for _, a := range args {
		if strings.HasPrefix(a, "--") {
			lines = append(lines, a[2:])
		} else {
			lines[len(lines)-1] += " " + a
		}
	}
	return lines
}
