//go:build linux

package test

import (
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script"
	"github.com/moongate-vpn/moongate/script/lib"
)

// The example that takes passwords from a secret store logs stock and us in twice, unattended, with two different codes: the server's script
// checks that no code comes twice. The codes are of a period of five seconds; the soak takes those of thirty.
func TestPasswordsFromStore(t *testing.T) {
	t.Parallel()
	passwordsFromStore(t, 5*time.Second)
}

// passwordsFromStore logs in twice within a period. A server's script takes the code of this step or of the one before, once.
func passwordsFromStore(t *testing.T, period time.Duration) {
	t.Helper()
	const key = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	for name, start := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.write(t, "otp", []byte(fmt.Sprintf("otpauth://totp/vpn?secret=%s&period=%d\n", key, period/time.Second)))
			l.write(t, "pass", []byte("good one\n"))
			verify := l.script(t, "once.sh", `{ read u; read p; } <"$1"
code=${p#good one}
[ "$u" = joe ] && [ "$p" = "good one$code" ] && [ ${#code} = 6 ] || exit 1
grep -q " $code\$" `+l.file("codes")+` 2>/dev/null && exit 1
echo "$(date +%s) $code" >> `+l.file("codes"))
			s := stock(t, l.server, l.serverArgs("--script-security", "2", "--auth-user-pass-verify", verify, "via-file"))
			s.WaitLine(t, up, upLimit)
			if left := period - time.Duration(time.Now().UnixNano())%period; left < period/2 { // both logins within a step, where there is time for that
				time.Sleep(left)
			}
			sock := l.file("client.sock")
			c := start(t, l.client, l.clientArgs("--auth-user-pass", "--auth-nocache", "--management", sock, "unix", "--management-query-passwords",
				"--management-hold"))
			l.attached(t, manage(t, sock), "passwords-from-store.lua", script.Options{
				Args: []string{"joe", "file:" + l.file("pass"), "totp:file:" + l.file("otp")}, SecretState: l.dir,
			}, "secret")
			c.WaitLine(t, up, upLimit+period)
			from := c.Lines()
			first := time.Now()
			c.Signal(t, syscall.SIGUSR1)
			c.WaitLineAfter(t, from, up, upLimit+period)
			t.Logf("the second login %v after the first", time.Since(first).Round(time.Second))
			var codes []string
			for line := range strings.Lines(read(l.file("codes"))) {
				at, code, _ := strings.Cut(strings.TrimSpace(line), " ")
				codes = append(codes, code)
				seconds, err := strconv.ParseInt(at, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				if step := uint64(seconds) / uint64(period/time.Second); code != oneTimeCode(t, key, step) && code != oneTimeCode(t, key, step-1) {
					t.Errorf("the code %s is not that of %d", code, seconds)
				}
			}
			if slices.Sort(codes); len(codes) != 2 || codes[0] == codes[1] {
				t.Errorf("codes %q", codes)
			}
			c.Stop(t)
			s.Stop(t)
		})
	}
}

// oneTimeCode is the code of a step.
func oneTimeCode(t *testing.T, key string, step uint64) string {
	t.Helper()
	code, err := lib.Code(key, step, 6, "sha1")
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// attached runs an example on a management port until the test ends.
func (l *lab) attached(t *testing.T, m *client.Client, example string, o script.Options, allow ...string) {
	t.Helper()
	l.attachedText(t, m, example, read("../examples/lua/"+example), o, allow...)
}

// in puts the lab's folder in place of DIR.
func in(l *lab, list []string) (out []string) {
	for _, a := range list {
		out = append(out, strings.ReplaceAll(a, "DIR", l.dir))
	}
	return out
}

// attachedText is attached for a script of the test's own.
func (l *lab) attachedText(t *testing.T, m *client.Client, example, src string, o script.Options, allow ...string) {
	t.Helper()
	var err error
	if o.Allow, err = script.ParseAllow(allow...); err != nil {
		t.Fatal(err)
	}
	path := l.write(t, example, []byte(src)) // its files lie beside it
	o.Burst = upLimit                        // the processor time of this process is that of all its tests
	ready := make(chan struct{})
	o.Status = func(s mgmt.ScriptStatus) {
		if s.State == mgmt.ScriptRunning || s.State == mgmt.ScriptReady {
			select {
			case <-ready:
			default:
				close(ready)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- script.RunClient(ctx, m, path, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, client.ErrLost) {
			t.Errorf("%s: %v", example, err)
		}
	})
	select {
	case <-ready:
	case <-time.After(upLimit):
		t.Fatalf("%s does not run", example)
	}
}

// The examples for servers, attached to stock and to ours, each with a stock client.
func TestServerExamples(t *testing.T) {
	t.Parallel()
	const refused = "AUTH: Received control message: AUTH_FAILED,"
	seen := make(chan string, 16)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen <- string(b)
	}))
	t.Cleanup(web.Close)
	for _, tt := range []struct {
		name, example string
		args, allow   []string
		client        []string // options of the client
		want          string   // of the client's log
		more          func(t *testing.T, l *lab)
	}{
		{name: "a group", example: "groups-by-certificate.lua", allow: []string{"read=DIR/groups.json"}, want: "route 10.10.0.0 255.255.0.0"},
		{name: "no group", example: "groups-by-certificate.lua", args: []string{"other.json"}, allow: []string{"read=DIR"}, want: refused + "not of a group"},
		{name: "in the hours", example: "office-hours.lua", args: []string{"0-24", "1-7"}, want: up},
		{name: "outside the hours", example: "office-hours.lua", args: []string{"0-0", "1-7"}, want: refused + "come back in office hours"},
		{name: "the newest session", example: "one-session.lua", want: "Halt command was pushed by server ('you are connected elsewhere')"},
		{name: "the quota", example: "quota.lua", args: []string{"0"}, allow: []string{"store=DIR/quota.db"}, want: "Halt command was pushed by server ('the quota of today is used up')"},
		{name: "the web service", example: "webhook.lua", args: []string{web.URL}, allow: []string{"http"}, want: up, more: func(t *testing.T, _ *lab) {
			select {
			case body := <-seen:
				if !strings.Contains(body, `"client":"box"`) || !strings.Contains(body, `"event":"connect"`) {
					t.Errorf("told %s", body)
				}
			case <-time.After(upLimit):
				t.Error("the web service heard nothing")
			}
		}},
		{name: "the journal", example: "journal.lua", args: []string{"DIR/journal"}, allow: []string{"write=DIR"}, want: up, more: func(t *testing.T, l *lab) {
			waitFor(t, "a line in the journal", func() bool { return strings.Contains(read(l.file("journal")), `"client":"box"`) })
		}},
		{name: "a wrong password", example: "block-brute-force.lua", args: []string{"/bin/false"}, allow: []string{"exec,store=DIR/bans.db"}, want: refused + "wrong username or password"},
		{name: "a right password", example: "block-brute-force.lua", args: []string{"/bin/true"}, allow: []string{"exec,store=DIR/bans.db"}, want: up},
		{name: "single sign-on", example: "web-sso.lua", args: []string{"https://sso.example/login", "127.0.0.1:0"}, allow: []string{"http,store=DIR/sso.db"},
			client: []string{"--setenv", "IV_SSO", "crtext"}, want: refused + "a newer client is needed"},
		{name: "a list", example: "admit-clients.lua", allow: []string{"read=DIR/clients.json"}, want: up},
	} {
		for daemon, start := range programs {
			t.Run(tt.name+"/"+daemon, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				subject, err := asn1.Marshal(pkix.Name{CommonName: "box", OrganizationalUnit: []string{"staff"}}.ToRDNSequence())
				if err != nil {
					t.Fatal(err)
				}
				l.issue(t, "client", pki.Spec{Subject: subject})
				l.write(t, "groups.json", []byte(`{"staff": ["route 10.10.0.0 255.255.0.0"]}`))
				l.write(t, "other.json", []byte(`{}`))
				l.write(t, "clients.json", []byte(`{"box": {}}`))
				sock := l.file("server.sock")
				opts := []string{"--management", sock, "unix", "--duplicate-cn"}
				if !slices.Contains([]string{"one-session.lua", "quota.lua", "webhook.lua", "journal.lua"}, tt.example) {
					opts = append(opts, "--management-client-auth", "--auth-user-pass-optional")
				}
				s := start(t, l.server, l.serverArgs(opts...))
				s.WaitLine(t, up, upLimit)
				m := manage(t, sock)
				l.attached(t, m, tt.example, script.Options{Args: in(l, tt.args)}, in(l, tt.allow)...)
				c := stock(t, l.client, l.clientArgs(append([]string{"--connect-retry-max", "1"}, tt.client...)...))
				if tt.example == "one-session.lua" {
					c.WaitLine(t, up, upLimit)
					second := stock(t, l.client, l.clientArgs("--dev", "tun1"))
					second.WaitLine(t, up, upLimit)
					defer second.Stop(t)
				}
				c.WaitLine(t, tt.want, upLimit)
				if tt.more != nil {
					tt.more(t, l)
				}
				c.Stop(t)
				s.Stop(t)
			})
		}
	}
}

// The examples for clients, attached to stock and to ours, each with a stock server.
func TestClientExamples(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, example string
		args, allow   []string
		client        []string
		verify        string // of the server: $u and $p
		want          string
	}{
		{name: "static challenge", example: "challenges.lua", args: []string{"joe", "cmd:echo hush", "echo", "4711"}, allow: []string{"exec"},
			client: []string{"--auth-user-pass", "--management-query-passwords", "--static-challenge", "PIN?", "1"},
			verify: `[ "$u" = joe ] && [ "$p" = "SCRV1:aHVzaA==:NDcxMQ==" ]`, want: up},
		{name: "dynamic challenge", example: "challenges.lua", args: []string{"joe", "cmd:echo hush", "echo", "4711"}, allow: []string{"exec"},
			client: []string{"--auth-user-pass", "--management-query-passwords", "--auth-retry", "interact"},
			verify: `case "$u $p" in
"joe hush") printf "CRV1:R,E:stateid:am9l:PIN?" > "$auth_failed_reason_file"; exit 1 ;;
"joe CRV1::stateid::4711") exit 0 ;;
esac
exit 1`, want: up},
		{name: "hold in its hours", example: "hold-by-schedule.lua", args: []string{"0-24", "1-7"}, client: []string{"--management-hold"}, want: up},
		{name: "ask again", example: "ask-again.lua", args: []string{"joe", "sh", "-c", `read r; [ "$r" = first ] && echo wrong || echo right`}, allow: []string{"exec"},
			client: []string{"--auth-user-pass", "--management-query-passwords"}, verify: `[ "$p" = right ]`, want: up},
		{name: "a file", example: "answer-passwords.lua", allow: []string{"read=DIR/credentials.json"}, client: []string{"--auth-user-pass", "--management-query-passwords", "--management-hold"},
			verify: `[ "$u $p" = "joe hush" ]`, want: up},
	} {
		for daemon, start := range programs {
			t.Run(tt.name+"/"+daemon, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.write(t, "credentials.json", []byte(`{"Auth": {"username": "joe", "password": "hush"}}`))
				var opts []string
				if tt.verify != "" {
					verify := l.script(t, "verify.sh", `{ read u; read p; } <"$1"`+"\n"+tt.verify)
					opts = []string{"--script-security", "2", "--auth-user-pass-verify", verify, "via-file"}
				}
				s := stock(t, l.server, l.serverArgs(opts...))
				s.WaitLine(t, up, upLimit)
				sock := l.file("client.sock")
				c := start(t, l.client, l.clientArgs(append(tt.client, "--management", sock, "unix")...))
				l.attached(t, manage(t, sock), tt.example, script.Options{Args: tt.args}, in(l, tt.allow)...)
				c.WaitLine(t, tt.want, upLimit)
				c.Stop(t)
				s.Stop(t)
			})
		}
	}
}

// The fastest remote is found by pings of the client's own machine, and taken; a host that does not answer is passed over.
func TestFastestRemote(t *testing.T) {
	t.Parallel()
	for daemon, start := range programs {
		t.Run(daemon, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			program, err := released()
			if err != nil {
				t.Fatal(err)
			}
			moongate := l.file("moongate") // by this name it is not the daemon
			if err := os.Symlink(program, moongate); err != nil {
				t.Fatal(err)
			}
			l.stockServer(t)
			sock := l.file("client.sock")
			c := start(t, l.client, slices.Concat([]string{"--remote", "10.99.0.77", "1194"}, l.clientArgs("--management", sock, "unix",
				"--management-query-remote", "--management-hold")))
			release := l.write(t, "release.lua", []byte(`moongate.on("hold", function(ev) ev:release() end)`))
			waitFor(t, "the socket", func() bool { _, err := os.Stat(sock); return err == nil })
			run := l.client.Start(t, moongate, "run", release, "../examples/lua/fastest-remote.lua", "-a", sock, "--allow", "exec")
			run.WaitLine(t, "the fastest remote", upLimit)
			c.WaitLine(t, up, upLimit)
			if log := c.Log(); !strings.Contains(log, "10.99.0.1:1194") || strings.Contains(log, "10.99.0.77:1194") {
				t.Errorf("not the remote that answers:\n%s", log)
			}
			run.Stop(t)
			c.Stop(t)
		})
	}
}

// Single sign-on: the client gets a page with a state, the page's service confirms it, and the client is in. A state of another user is refused.
func TestWebSSOExample(t *testing.T) {
	t.Parallel()
	for daemon, start := range programs {
		for user, want := range map[string]string{"box": up, "eve": "AUTH: Received control message: AUTH_FAILED,not signed in"} {
			t.Run(daemon+"/"+user, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.issue(t, "client", pki.Spec{Name: "box"})
				sock, service := l.file("server.sock"), l.file("sso.sock")
				s := start(t, l.server, l.serverArgs("--management", sock, "unix", "--management-client-auth", "--auth-user-pass-optional"))
				s.WaitLine(t, up, upLimit)
				l.attached(t, manage(t, sock), "web-sso.lua", script.Options{Args: []string{"https://sso.example/login", service}}, "http,store="+l.file("sso.db"))
				c := stock(t, l.client, l.clientArgs("--connect-retry-max", "1", "--setenv", "IV_SSO", "webauth"))
				page := regexp.MustCompile(`WEB_AUTH::https://sso\.example/login\?state=([0-9a-f]{32})`)
				waitFor(t, "the page at the client", func() bool { return page.MatchString(c.Log()) })
				state := page.FindStringSubmatch(c.Log())[1]
				web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "unix", service)
				}}}
				resp, err := web.Post("http://sso/verdict", "application/json", strings.NewReader(`{"state": "`+state+`", "user": "`+user+`", "ok": true}`)) //nolint:noctx // a test's
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				c.WaitLine(t, want, upLimit)
				c.Stop(t)
				s.Stop(t)
			})
		}
	}
}

// The example that bans addresses, whole: five wrong passwords, the ban, which a new run of the script knows, and which a person lifts.
func TestBlockBruteForce(t *testing.T) {
	t.Parallel()
	const refused = "AUTH: Received control message: AUTH_FAILED,"
	for daemon, start := range programs {
		t.Run(daemon, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			sock := l.file("server.sock")
			check := l.script(t, "check.sh", `read u; read p; [ "$p" = right ]`)
			s := start(t, l.server, l.serverArgs("--management", sock, "unix", "--management-client-auth", "--auth-user-pass-optional"))
			s.WaitLine(t, up, upLimit)
			login := func(password, want string) {
				t.Helper()
				l.write(t, "login", []byte("joe\n"+password+"\n"))
				c := stock(t, l.client, l.clientArgs("--auth-user-pass", l.file("login"), "--connect-retry-max", "1"))
				c.WaitLine(t, want, upLimit)
				c.Stop(t)
			}
			o := script.Options{Args: []string{check}}
			allow := []string{"exec", "store=" + l.file("bans.db")}
			t.Run("guesses", func(t *testing.T) { // the script ends with it
				l.attached(t, manage(t, sock), "block-brute-force.lua", o, allow...)
				login("right", up)
				for range 5 {
					login("wrong", refused+"wrong username or password")
				}
				login("right", "too many wrong passwords") // refused, or disconnected when it came before the ban's end of all sessions
			})
			t.Run("again", func(t *testing.T) {
				l.attached(t, manage(t, sock), "block-brute-force.lua", o, allow...)
				login("right", refused+"too many wrong passwords")
				lift := l.write(t, "lift.lua", []byte(`assert(#bans() == 1 and bans()[1].seconds > 500) assert(unban(bans()[1]))`))
				a, err := script.ParseAllow(allow[1])
				if err != nil {
					t.Fatal(err)
				}
				here, there := net.Pipe()
				go func() {
					_, _ = io.WriteString(there, ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n")
				}()
				if err := script.Run(t.Context(), here, lift, script.Options{Allow: a}); err != nil {
					t.Fatal(err)
				}
				login("right", up)
			})
			s.Stop(t)
		})
	}
}

// The example that holds a daemon by the hour, through two days: it waits for the morning, comes up, goes down in the evening, and comes up again.
func TestHoldBySchedule(t *testing.T) {
	t.Parallel()
	for daemon, start := range programs {
		t.Run(daemon, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.stockServer(t)
			sock := l.file("client.sock")
			c := start(t, l.client, l.clientArgs("--management", sock, "unix", "--management-hold"))
			var ahead atomic.Int64 // of the machine's clock
			at := func(day, hour, minute int) {
				ahead.Store(int64(time.Until(time.Date(2027, time.January, day, hour, minute, 0, 0, time.Local))))
			}
			at(14, 7, 59) // a Thursday
			src := strings.Replace(read("../examples/lua/hold-by-schedule.lua"), "moongate.every(30,", "moongate.every(0.1,", 1)
			m := manage(t, sock)
			l.attachedText(t, m, "hold-by-schedule.lua", src, script.Options{
				Args: []string{"8-18", "1-5"}, Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
			})
			held := func(from int) {
				t.Helper()
				c.WaitLineAfter(t, from, "library versions", upLimit) // it starts, and holds
				from = c.Lines()
				time.Sleep(time.Second) // ten looks at the clock
				if log := strings.Join(strings.Split(c.Log(), "\n")[from:], "\n"); strings.Contains(log, up) {
					t.Errorf("it came up out of hours:\n%s", log)
				}
			}
			down := 0
			for day := 14; day <= 15; day++ {
				held(down)
				from := c.Lines()
				at(day, 8, 0)
				c.WaitLineAfter(t, from, up, upLimit)
				at(day, 17, 59)
				time.Sleep(500 * time.Millisecond)
				if s, err := m.Cmd(t.Context(), "state"); err != nil || !strings.Contains(strings.Join(s.Body(), "\n"), "CONNECTED") {
					t.Errorf("before its hours are over: %v, %v", s, err)
				}
				down = c.Lines()
				at(day, 18, 0)
			}
			held(down)
			at(16, 12, 0) // a Saturday
			time.Sleep(500 * time.Millisecond)
			if s, err := m.Cmd(t.Context(), "state"); err != nil || strings.Contains(strings.Join(s.Body(), "\n"), "CONNECTED") {
				t.Errorf("on a Saturday: %v, %v", s, err)
			}
			c.Stop(t)
		})
	}
}

// A ban ends the session and keeps the client out, where logins are asked about and where they are not.
func TestBan(t *testing.T) {
	t.Parallel()
	const halted, refused = "Halt command was pushed by server ('out')", "AUTH: Received control message: AUTH_FAILED,out"
	for daemon, start := range programs {
		for want, opts := range map[string][]string{halted: nil, refused: {"--management-client-auth", "--auth-user-pass-optional"}} {
			t.Run(daemon+strings.Join(opts, ""), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				sock := l.file("server.sock")
				s := start(t, l.server, l.serverArgs(append(opts, "--management", sock, "unix")...))
				s.WaitLine(t, up, upLimit)
				l.attachedText(t, manage(t, sock), "ban.lua", `
					moongate.on("client.connect", function(ev) ev:admit() end)
					moongate.on("client.established", function(ev) assert(kill{cid = ev.cid, reason = "HALT,out", ban = 3600}) end)`, script.Options{})
				for _, want := range []string{halted, want} {
					c := stock(t, l.client, l.clientArgs())
					c.WaitLine(t, want, upLimit)
					c.Stop(t)
				}
				s.Stop(t)
			})
		}
	}
}
