//go:build linux

package test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/script"
)

// children are the processes of the scripts of a daemon.
func children(t *testing.T, daemon *daemontest.Process) (pids []int) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		line, _ := os.ReadFile(path)
		if !bytes.HasPrefix(line, []byte("moongate\x00lua-host-confined")) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if field(pid, "PPid") == strconv.Itoa(daemon.PID()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// field is a field of /proc/PID/status.
func field(pid int, name string) string {
	for line := range strings.Lines(read(fmt.Sprintf("/proc/%d/status", pid))) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// child waits for the one child of a daemon.
func child(t *testing.T, daemon *daemontest.Process, not int) (pid int) {
	t.Helper()
	waitFor(t, "the script's process", func() bool {
		all := children(t, daemon)
		if len(all) == 1 && all[0] != not {
			pid = all[0]
			return true
		}
		return false
	})
	return pid
}

// status waits until the one script of a server is in a state, and returns it.
func (l *reloadLab) status(t *testing.T, state mgmt.ScriptState) (s mgmt.ScriptStatus) {
	t.Helper()
	waitFor(t, "the script to be "+string(state), func() bool {
		all, err := l.port.Scripts(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("scripts: %v, %v", all, err)
		}
		s = all[0]
		return s.State == state
	})
	return s
}

const admitAll = `moongate.on("client.connect", function(ev) ev:admit() end)` + "\n"

// newScriptLab is a server whose logins a script decides.
func newScriptLab(t *testing.T, text string, words ...string) *reloadLab {
	t.Helper()
	l := newLab(t)
	l.revocations(t)
	path := l.write(t, "admit.lua", []byte(text))
	p := oursReleased(t, l.server, []string{"--config", l.configure(t, "management-client-auth", "auth-user-pass-optional",
		strings.Join(append([]string{"script", path}, words...), " "))})
	p.WaitLine(t, up, upLimit)
	return &reloadLab{l, p, manage(t, l.file("server.sock"))}
}

// A client that comes while the script starts, or while it fails for a time, is told so, and comes again by itself.
func TestClientsComeAgainToAScript(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"it starts": "sleep(3)\n" + admitAll,
		"it fails":  `local from = moongate.now() moongate.on("client.connect", function(ev) if moongate.now() < from + 3 then error("not yet") end ev:admit() end)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newScriptLab(t, script)
			c := stock(t, l.client, l.clientArgs())
			c.WaitLine(t, "AUTH_FAILED,TEMP:temporarily unavailable, try again", upLimit)
			c.WaitLine(t, up, upLimit)
			c.Stop(t)
			terminate(t, l.server)
		})
	}
}

// A script runs in a process of its own that may nothing, and is started again when it is killed. A login in that moment is refused at
// once, not by a time-out.
func TestScriptInAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	l := newScriptLab(t, `moongate.on("client.connect", function(ev)
	  if ev.common_name == "slow" then sleep(60) end
	  ev:admit()
	end, {timeout = 100})`)
	pid := child(t, l.server, 0)
	for name, want := range map[string]string{"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1"} {
		if got := field(pid, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if nice, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid); err != nil || 20-nice != 5 {
		t.Errorf("nice %d, %v", 20-nice, err)
	}
	// The pages of the program are shared with the daemon: RssAnon is what a script adds.
	if kb, err := strconv.Atoi(strings.TrimSuffix(field(pid, "RssAnon"), " kB")); err != nil || kb > 15<<10 {
		t.Errorf("an idle script takes %d KiB of its own, %v", kb, err)
	}
	c := l.stockClient(t)
	l.issue(t, "slow", pki.Spec{Name: "slow"})
	waiting := stock(t, l.client, l.clientArgs("--dev", "tun1", "--cert", l.file("slow.crt"), "--key", l.file("slow.key")))
	l.server.WaitLine(t, "CN=slow", upLimit)
	waitFor(t, "the script to decide", func() bool { return l.status(t, mgmt.ScriptRunning).Events >= 2 })
	begin := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waiting.WaitLine(t, "AUTH_FAILED,TEMP:temporarily unavailable, try again", upLimit)
	if d := time.Since(begin); d > time.Second {
		t.Errorf("the login was refused after %v", d)
	}
	waiting.Stop(t)
	l.server.WaitLine(t, "admit.lua is started again in 100ms", upLimit)
	if log := l.server.Log(); !strings.Contains(log, "ended: its process died: signal: killed") || !strings.Contains(log, "admit.lua is not running") {
		t.Errorf("the log does not tell what happened:\n%s", log)
	}
	child(t, l.server, pid)
	s := l.status(t, mgmt.ScriptRunning)
	if s.Errors != 1 || !strings.Contains(s.LastError, "signal: killed") || s.Events < 2 || s.Handlers != 1 {
		t.Errorf("status %+v", s)
	}
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	c.Stop(t)
	l.stockClient(t).Stop(t)
	terminate(t, l.server)
	if all := children(t, l.server); len(all) > 0 {
		t.Errorf("processes %v are left", all)
	}
}

// A new version takes over when its main chunk has run; a broken one is refused with file and line, and nothing changes.
func TestScriptIsProvenBeforeItTakesOver(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"", "in-process"} {
		l := newScriptLab(t, admitAll, words)
		l.status(t, mgmt.ScriptRunning)
		for text, want := range map[string]string{
			"x = = 1\n": "admit.lua:1: near '='",
			"\nmoongate.on('client.conect', print)\n": "admit.lua:2: bad argument #1 to on (unknown event \"client.conect\"; did you mean client.connect?)",
			"local m = require 'missing'\n":           "admit.lua:1: module missing not found",
			admitAll + "error('bad luck')\n":          "admit.lua:2: bad luck",
			"while true do end\n":                     "admit.lua:1: too much processor time",
			"moongate.stop(3)\n":                      "stopped with code 3",
		} {
			l.write(t, "admit.lua", []byte(text))
			_, err := l.port.Cmd(t.Context(), "reload")
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("%q: error %v, want %q", text, err, want)
			}
		}
		l.stockClient(t).Stop(t)
		l.write(t, "mine.lua", []byte("return 'from the module'\n"))
		l.write(t, "admit.lua", []byte("print(require 'mine')\n"+admitAll))
		if diff := gocmp.Diff([]string{"script,applied"}, l.reload(t)); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
		l.server.WaitLine(t, "from the module", upLimit)
		l.status(t, mgmt.ScriptRunning)
		if got := l.reload(t); len(got) != 0 {
			t.Errorf("a reload without changes reports %q", got)
		}
		l.write(t, "mine.lua", []byte("return 'from the changed module'\n"))
		l.reload(t)
		l.server.WaitLine(t, "from the changed module", upLimit)
		l.stockClient(t).Stop(t)
		l.configure(t, "management-client-auth", "auth-user-pass-optional")
		l.reload(t)
		waitFor(t, "the script to end", func() bool { return len(children(t, l.server)) == 0 })
		terminate(t, l.server)
	}
}

// What a reload replaces ends what it has begun: a login that waits for its second step is decided by the version that asked.
func TestOldScriptEndsWhatItBegan(t *testing.T) {
	t.Parallel()
	l := newScriptLab(t, `moongate.on("client.connect", function(ev) print("old asked") sleep(2) ev:admit() print("old admitted") end)`)
	c := stock(t, l.client, l.clientArgs())
	l.server.WaitLine(t, "old asked", upLimit)
	l.write(t, "admit.lua", []byte(`moongate.on("client.connect", function(ev) print("new") ev:deny("no") end)`))
	l.reload(t)
	c.WaitLine(t, up, upLimit)
	l.server.WaitLine(t, "old admitted", upLimit)
	if strings.Contains(l.server.Log(), ": new") {
		t.Error("the new version answered too")
	}
	waitFor(t, "the old version to end", func() bool { return len(children(t, l.server)) == 1 })
	c.Stop(t)
	terminate(t, l.server)
}

// A reload loses no login that waits. The version that asked ends its handlers, and the next one hears what comes then; a login that nobody can decide
// about any more is refused at once, with a reason.
func TestReloadWhileALoginWaits(t *testing.T) {
	t.Parallel()
	const page = `WEB_AUTH::https://sso\.example/login\?state=([0-9a-f]{32})`
	example := read("../examples/lua/web-sso.lua")
	for name, tt := range map[string]struct {
		script, words string
		asked         string // what the client's log says when it waits
		then          func(t *testing.T, l *reloadLab, c *daemontest.Process)
		want          string
	}{
		"for a web service": {example, "arg https://sso.example/login arg SOCK allow http,store burst 5000", page, func(t *testing.T, l *reloadLab, c *daemontest.Process) {
			web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", l.file("sock"))
			}}}
			state := regexp.MustCompile(page).FindStringSubmatch(c.Log())[1]
			resp, err := web.Post("http://sso/verdict", "", strings.NewReader(`{"state": "`+state+`", "user": "client1", "ok": true}`)) //nolint:noctx // a test's
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
		}, up},
		"for its client": {`on("client.connect", function(ev) ev:pending("CR_TEXT:R,E:code?", 60) end)
			on("client.cr_response", function(ev) if ev.response == "eWVz" then ev:admit() else ev:deny("no") end end)`, "", "CR_TEXT:R,E:code", func(t *testing.T, l *reloadLab, _ *daemontest.Process) {
			if _, err := manage(t, l.file("client.sock")).Cmd(t.Context(), "cr-response eWVz"); err != nil {
				t.Fatal(err)
			}
		}, up},
		"for a timer that the reload ends": {`on("client.connect", function(ev) print("asked") after(3600, function() ev:admit() end) end)`, "", "", nil,
			"AUTH_FAILED,TEMP:temporarily unavailable, try again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.revocations(t)
			path := l.write(t, "admit.lua", []byte(tt.script))
			p := oursReleased(t, l.server, []string{"--config", l.configure(t, "management-client-auth", "auth-user-pass-optional",
				"script "+path+" "+strings.ReplaceAll(tt.words, "SOCK", l.file("sock")))})
			p.WaitLine(t, up, upLimit)
			lab := &reloadLab{l, p, manage(t, l.file("server.sock"))}
			c := stock(t, l.client, l.clientArgs("--management", l.file("client.sock"), "unix", "--setenv", "IV_SSO", "webauth,crtext", "--connect-retry-max", "1"))
			asked := regexp.MustCompile(tt.asked)
			waitFor(t, "the login to wait", func() bool {
				return asked.MatchString(c.Log()) && (tt.asked != "" || strings.Contains(p.Log(), "asked"))
			})
			l.write(t, "admit.lua", []byte(tt.script+"\n-- anew\n"))
			lab.reload(t)
			lab.status(t, mgmt.ScriptRunning)
			if tt.then != nil {
				tt.then(t, lab, c)
			}
			c.WaitLine(t, tt.want, upLimit)
			c.Stop(t)
			waitFor(t, "the old version to end", func() bool { return len(children(t, p)) == 1 })
			terminate(t, p)
		})
	}
}

// A script that fails again and again is started with longer pauses, and logins are refused with a reason meanwhile.
func TestScriptThatDiesAgainAndAgain(t *testing.T) {
	t.Parallel()
	l := newScriptLab(t, admitAll+"moongate.after(0.02, function() hoard = {} while true do hoard[#hoard + 1] = ('x'):rep(1e5) .. #hoard end end)\n", "memory 8 burst 5000")
	for _, pause := range []string{"100ms", "200ms", "400ms", "800ms"} {
		l.server.WaitLine(t, "is started again in "+pause, upLimit)
	}
	if log := l.server.Log(); !strings.Contains(log, "admit.lua:2: too much memory (8 MiB), and the script keeps it") {
		t.Errorf("the log does not tell why:\n%s", log)
	}
	l.refused(t)
	l.write(t, "admit.lua", []byte(admitAll))
	l.reload(t)
	l.stockClient(t).Stop(t)
	terminate(t, l.server)
}

// refused logs a stock client in, which is told within seconds, not by its own time-out, that it has to come again.
func (l *reloadLab) refused(t *testing.T) {
	t.Helper()
	from := l.server.Lines()
	c := stock(t, l.client, l.clientArgs())
	l.server.WaitLineAfter(t, from, "VERIFY OK: depth=0", upLimit)
	c.WaitLine(t, "AUTH_FAILED,TEMP:temporarily unavailable, try again", upLimit)
	c.Stop(t)
}

// However a script fails, the login that waits for it is refused with a reason, and so are those that come while it is away; the next version admits.
func TestLoginsWhileAScriptFails(t *testing.T) {
	t.Parallel()
	signal := func(sig syscall.Signal) func(*testing.T, *reloadLab) {
		return func(t *testing.T, l *reloadLab) {
			if err := syscall.Kill(child(t, l.server, 0), sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		script string // after the first line; waits is called by the login that is under way
		then   func(*testing.T, *reloadLab)
		says   string // the log

		timeout string // of the handler, default 60
	}{
		"killed":   {`function waits() sleep(60) end`, signal(syscall.SIGKILL), "its process died: signal: killed", ""},
		"stopped":  {`function waits() sleep(60) end`, signal(syscall.SIGSTOP), "its process was stopped by a signal, and was ended", ""},
		"an error": {`function waits() local x = nothing.at.all end`, nil, "attempt to index nothing, which is nil", ""},
		"too slow": {`function waits() while true do send("pid") end end`, nil, "handler took too long (1s)", "1"},
		"busy":     {`function waits() while true do end end`, nil, "too much processor time", ""},
		"memory":   {`function waits() hoard = {} while true do hoard[#hoard + 1] = ("x"):rep(1e6) .. #hoard end end`, nil, "too much memory", ""},
		"it stops": {`function waits() moongate.stop(3) end`, nil, "stopped with code 3", ""},
		"killed while its next version starts": {`function waits() sleep(60) end`, func(t *testing.T, l *reloadLab) {
			l.write(t, "admit.lua", []byte("sleep(3) print('proven')\n"+admitAll))
			pid := child(t, l.server, 0)
			go func() { _, _ = l.port.Cmd(t.Context(), "reload") }()
			waitFor(t, "the next version", func() bool { return len(children(t, l.server)) == 2 })
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}, "its process died: signal: killed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newScriptLab(t, `moongate.on("client.connect", function(ev) print("asked") if ev.common_name == "slow" then waits() end ev:admit() end, {timeout = `+cmp.Or(tt.timeout, "60")+`})
			`+tt.script, "timeout 60 burst 1000 memory 32")
			l.status(t, mgmt.ScriptRunning)
			l.issue(t, "slow", pki.Spec{Name: "slow"})
			c := stock(t, l.client, l.clientArgs("--cert", l.file("slow.crt"), "--key", l.file("slow.key")))
			l.server.WaitLine(t, "asked", upLimit)
			begin := time.Now()
			if tt.then != nil {
				tt.then(t, l)
			}
			c.WaitLine(t, "AUTH_FAILED,TEMP:temporarily unavailable, try again", upLimit)
			t.Logf("refused after %v", time.Since(begin))
			c.Stop(t)
			l.server.WaitLine(t, tt.says, upLimit)
			terminate(t, l.server)
		})
	}
}

// The daemon gives up its user: its script did so before it ran.
func testScriptOfAnotherUser(t *testing.T, program string) {
	l := newLab(t)
	l.revocations(t)
	path := l.write(t, "admit.lua", []byte(admitAll))
	p := l.server.Start(t, program, "--config", l.configure(t, "management-client-auth", "auth-user-pass-optional", "user nobody", "group nogroup",
		"persist-key", "persist-tun", "script "+path))
	p.WaitLine(t, up, upLimit)
	pid := child(t, p, 0)
	if got := field(pid, "Uid"); !strings.HasPrefix(got, "65534\t65534\t65534") {
		t.Errorf("the script runs as %q", got)
	}
	if got := field(pid, "Groups"); got != "" {
		t.Errorf("the script is in groups %q", got)
	}
	l.stockClient(t).Stop(t)
	terminate(t, p)
}

// A daemon does not start with a script that does not compile, and check finds it in the configuration.
func TestDaemonRefusesABrokenScript(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.revocations(t)
	path := l.write(t, "bad.lua", []byte("local x = \nthis is no Lua\n"))
	p := ours(t, l.server, []string{"--config", l.configure(t, "script "+path)})
	p.WaitLine(t, path+":2: near 'no'", upLimit)
	if code := p.Wait(t, upLimit); code != 1 {
		t.Errorf("exit status %d", code)
	}
}

// A script of the daemon asks whoever is attached, and takes a question back when its handler ends.
func TestScriptAsksTheAttached(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"", "in-process"} {
		l := newScriptLab(t, `moongate.on("client.connect", function(ev)
		  if ask_ok("admit", "may " .. ev.common_name .. " come in?") and ask_string("why", "why?") == "I know" then ev:admit() else ev:deny("no") end
		end)
		after(0.05, function() print(select(2, pcall(ask_ok, "a b", "x"))) end)
		on("infomsg", function() end)`, words)
		sub := l.port.Subscribe(mgmt.KindNeedOK, mgmt.KindNeedStr)
		c := stock(t, l.client, l.clientArgs())
		for _, want := range []struct{ text, answer string }{
			{"Need 'admit' confirmation MSG:may client1 come in?", "needok admit ok"}, {"Need 'why' string MSG:why?", `needstr why "I know"`},
		} {
			n, err := notified(t, sub)
			if err != nil || n.Text != want.text {
				t.Fatalf("%q, %v, want %q", n.Text, err, want.text)
			}
			if _, err := l.port.Cmd(t.Context(), want.answer); err != nil {
				t.Fatal(err)
			}
		}
		c.WaitLine(t, up, upLimit)
		l.server.WaitLine(t, "want a name of letters, digits, dots, underscores and dashes", upLimit)
		c.Stop(t)
		terminate(t, l.server)
	}
}

// After chroot the program cannot be found: a script that dies stays down, the log says why, and logins that it decides are refused at once.
func TestScriptThatDiesInAJail(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	jail := l.file("jail")
	if err := os.MkdirAll(jail+"/tmp", 0o755); err != nil {
		t.Fatal(err)
	}
	path := l.write(t, "admit.lua", []byte(admitAll))
	p := oursReleased(t, l.server, l.serverArgs("--management", l.file("server.sock"), "unix", "--management-client-auth", "--auth-user-pass-optional",
		"--chroot", jail, "--persist-key", "--persist-tun", "--script", path))
	p.WaitLine(t, up, upLimit)
	l.stockClient(t).Stop(t)
	if err := syscall.Kill(child(t, p, 0), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.WaitLine(t, "ended: its process died: signal: killed", upLimit)
	p.WaitLine(t, "start the script's process", upLimit)
	c := stock(t, l.client, l.clientArgs())
	c.WaitLine(t, "AUTH_FAILED,TEMP:temporarily unavailable", upLimit)
	c.Stop(t)
	if n := len(children(t, p)); n != 0 {
		t.Errorf("%d processes", n)
	}
	terminate(t, p)
}

// The examples for questions answer those of a script of the daemon.
func TestQuestionExamples(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		example, asks, want string
		args                []string
	}{
		{"needstr.lua", `ask_ok("admit", "may it?") and ask_string("why", "why?") == "I know"`, up, []string{"why=I know"}},
		{"needok.lua", `ask_ok("admit", "may it?")`, up, []string{"admit"}},
		{"needok.lua", `ask_ok("admit", "may it?")`, "AUTH: Received control message: AUTH_FAILED,not you", []string{"other"}},
	} {
		t.Run(tt.example+" "+tt.args[0], func(t *testing.T) {
			t.Parallel()
			l := newScriptLab(t, `moongate.on("client.connect", function(ev)
			  if `+tt.asks+` then ev:admit() else ev:deny("no", { client_reason = "not you" }) end
			end)`)
			l.attached(t, l.port, tt.example, script.Options{Args: tt.args})
			c := stock(t, l.client, l.clientArgs())
			c.WaitLine(t, tt.want, upLimit)
			c.Stop(t)
			terminate(t, l.server)
		})
	}
}
