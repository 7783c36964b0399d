//go:build linux

package test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

// jail makes a folder to change the root to, which has the lab's folder as well: a plugin's notes go into the one before the change,
// and into the other after it.
func (l *lab) jail(t *testing.T) string {
	t.Helper()
	jail := l.file("jail")
	for _, dir := range []string{jail, filepath.Join(jail, l.dir), jail + "/tmp"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	return jail
}

// notesOf joins what a plugin noted outside of the jail and inside.
func (l *lab) notesOf(t *testing.T, jail string) string {
	t.Helper()
	inside := fileText(filepath.Join(jail, l.file("note")))
	l.write(t, "note", []byte(fileText(l.file("note"))+inside))
	return inside
}

// Under chroot and user a plugin finds what events name, its exchange files too, and is as free as with stock.
func TestPluginUnderChrootLikeStock(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]string{
		"logins": "on=5,6,7,8,9 6=config 9=config", "put off": "on=5,6,13 5=defer 6=defer-never 13=config", "reason": "on=5 5=reason", "refused later": "on=5 5=defer-fail",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sameStory(t, func(t *testing.T, who string, l *lab) *daemontest.Process {
				jail := l.jail(t)
				_ = os.Remove(filepath.Join(jail, l.file("note"))) // of the other program
				start := map[string]starter{"stock": stock, "ours": oursReleased}[who]
				args := l.serverArgs("--chroot", jail, "--user", "nobody", "--persist-key", "--persist-tun", "--plugin", probe(t), "note="+l.file("note"))
				s := start(t, l.server, append(args, strings.Fields(answers)...))
				s.WaitLine(t, up, upLimit)
				c := stock(t, l.client, l.clientArgs("--auth-user-pass", l.login(t, "alice", "secret"), "--auth-retry", "none"))
				if name == "reason" || name == "refused later" {
					c.WaitLine(t, "AUTH_FAILED", upLimit)
				} else {
					c.WaitLine(t, up, upLimit)
				}
				s.Signal(t, syscall.SIGTERM)
				_ = s.Wait(t, upLimit)
				if inside := l.notesOf(t, jail); !strings.Contains(inside, "== event 5 ") || !strings.Contains(inside, " uid=65534 ") {
					t.Errorf("%s: the plugin was not called as nobody in the jail:\n%s", who, inside)
				}
				return s
			})
		})
	}
}

// A plugin that crashes under chroot is opened anew outside of it, as root, and called inside, as nobody.
func TestPluginCrashUnderChroot(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	probe(t)
	jail := l.jail(t)
	s := oursReleased(t, l.server, l.serverArgs("--chroot", jail, "--user", "nobody", "--persist-key", "--persist-tun", "--plugin", probe(t), "note="+l.file("note"),
		"on=5", "5=crash", "only=mallory"))
	s.WaitLine(t, up, upLimit)
	l.logInRefused(t, "mallory", "secret", "")
	l.logIn(t, s, "alice", "secret")
	s.Signal(t, syscall.SIGTERM)
	_ = s.Wait(t, upLimit)
	if outside := fileText(l.file("note")); strings.Count(outside, "== open ssl_api=0 version=2.6 uid=0") != 2 || strings.Contains(outside, "== event") {
		t.Errorf("outside of the jail:\n%s", outside)
	}
	if inside := fileText(filepath.Join(jail, l.file("note"))); strings.Count(inside, "== event 5 ") != 2 || strings.Count(inside, " uid=65534 ") != 2 {
		t.Errorf("inside:\n%s", inside)
	}
}

// reload full and the command signal SIGHUP do to plugins what SIGHUP does with stock, and the plugin decides from then on.
func TestPluginReloadsLikeStock(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]string{"plain": nil, "persist": {"--persist-tun", "--persist-key"}} {
		for _, command := range []string{"reload full", "signal SIGHUP"} {
			t.Run(name+"/"+command, func(t *testing.T) {
				t.Parallel()
				sameStory(t, func(t *testing.T, who string, l *lab) *daemontest.Process {
					s := compared[who](t, l.server, l.serverArgs(append(options, "--management", l.file("sock"), "unix", "--plugin", probe(t), "note="+l.file("note"),
						"on=0,1,5,7", "5=fail", "only=mallory")...))
					s.WaitLine(t, up, upLimit)
					l.logIn(t, s, "alice", "secret")
					from := s.Lines()
					if who == "stock" {
						s.Signal(t, syscall.SIGHUP)
					} else {
						do(t, manage(t, l.file("sock")), strings.Fields(command)...)
					}
					s.WaitLineAfter(t, from, up, upLimit)
					l.logInRefused(t, "mallory", "secret", "")
					return s
				})
			})
		}
	}
}

// A plugin that keeps dying is started anew at once, then after pauses that grow, and at once again when it has answered. A
// caller that cannot wait is told at once.
func TestPluginPauses(t *testing.T) {
	t.Parallel()
	file := probe(t)
	set, err := plugin.Start(plugin.Config{
		Plugins: []plugin.Spec{{Name: file, Args: []string{"on=5", "5=crash", "only=mallory"}}},
		Version: "2.6.14", UID: -1, GID: -1, Limit: upLimit, Log: func(logging.Level, string, ...any) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	if err := set.Open(plugin.BeforeTunnel); err != nil {
		t.Fatal(err)
	}
	log := func(logging.Level, string, ...any) {}
	call := func(ctx context.Context, user string) error {
		_, err := set.Call(ctx, plugin.Call{Event: plugin.AuthUserPassVerify, Env: []string{"username=" + user}, Log: log})
		return err
	}
	const crashed = "it was ended by signal 11 (segmentation fault)"
	for n, step := range []struct {
		user  string
		pause time.Duration // at least
	}{
		{"mallory", 0}, {"mallory", 0}, {"mallory", time.Second}, {"alice", 2 * time.Second}, {"alice", 0}, {"mallory", 0}, {"alice", 0}, {"mallory", 0}, {"mallory", 0},
	} {
		since := time.Now()
		err := call(t.Context(), step.user)
		if took := time.Since(since); took < step.pause {
			t.Errorf("step %d: it was started anew after %v, want %v at least", n, took, step.pause)
		}
		switch {
		case step.user == "alice" && err != nil:
			t.Errorf("step %d: %v", n, err)
		case step.user == "mallory" && fmt.Sprint(err) != crashed:
			t.Errorf("step %d: %v, want %s", n, err, crashed)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := call(ctx, "alice"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller that cannot wait for the pause: %v", err)
	}
}
