//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// step waits for a text on the screen and then types, or does something.
type step struct {
	shows, types string
	do           func()
}

// play does the steps, each behind the one before.
func play(t *testing.T, tty *os.File, out *screen, steps []step) {
	t.Helper()
	at := 0
	for _, s := range steps {
		eventually(t, s.shows, func() bool { return strings.Contains(out.String()[at:], s.shows) })
		at += strings.Index(out.String()[at:], s.shows) + len(s.shows)
		if s.do != nil {
			s.do()
		}
		tty.WriteString(s.types)
	}
}

// login answers the server's questions.
func login(user, password string) []step {
	return []step{{shows: "user name", types: user + "\r"}, {shows: "password: ", types: password + "\r"}}
}

func steps(all ...[]step) (joined []step) {
	for _, s := range all {
		joined = append(joined, s...)
	}
	return joined
}

const up = "Ctrl-C disconnects"

var (
	connected = []step{{shows: up}}
	again     = func(password string) []step {
		return []step{{shows: "user name [joe]", types: "\r"}, {shows: "password: ", types: password + "\r"}}
	}
)

// vpns runs f beside our server and stock's.
func vpns(t *testing.T, f func(t *testing.T, program []string)) {
	if testing.Short() {
		t.Skip("makes network namespaces")
	}
	servers := map[string][]string{"ours": {os.Args[0], "daemon"}}
	stock := stockBinary
	if other := os.Getenv("MOONGATE_STOCK"); other != "" {
		stock = other
	}
	if stock != "" {
		servers["stock"] = []string{stock}
	}
	for name, program := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, program)
		})
	}
}

// A person comes into the tunnel, or is told what to do.
func TestConnect(t *testing.T) {
	remote := func(port int) string { return fmt.Sprint("remote 127.0.0.1 ", port) }
	const proxyLine = "http-proxy 127.0.0.1 8888"
	way := []step{{shows: "user name for the HTTP proxy", types: "proxyuser\r"}, {shows: "password for", types: "moonlight\r"}}
	cases := []struct {
		name  string
		once  bool     // it ends before a server answers: one server is enough
		more  []string // of the profile
		flags []string
		env   []string
		user  uint32 // to be in place of root
		steps []step
		code  int // of the end
		want  string
	}{
		{name: "password", steps: steps(login("joe", "moonlight"), connected)},
		{name: "tcp", more: []string{"proto tcp4-client", remote(portTCP)}, steps: steps(login("joe", "moonlight"), connected)},
		{name: "wrong-then-right", steps: steps(login("joe", "sunlight"), []step{{shows: "refuses the user name or the password; 2 more tries"}}, again("moonlight"), connected)},
		{name: "wrong", steps: steps(login("joe", "a"), again("b"), []step{{shows: "one more try"}}, again("c")), code: 4, want: "ask the operator"},
		{name: "locked", steps: steps(login("locked", "moonlight"), []step{{shows: "(this account is locked)"}, {shows: "user name [locked]", types: "\x03"}}), code: 5, want: "interrupted"},
		{name: "later", steps: steps(login("later", "moonlight"), []step{{shows: "cannot decide about the login now (the directory is down)"}}, connected)},
		{name: "static", more: []string{`static-challenge "Your PIN" 1`}, steps: steps(login("static", "moonlight"), []step{{shows: "Your PIN", types: "424242\r"}}, connected)},
		{name: "concat", more: []string{`static-challenge "Your PIN" 0 concat`}, steps: steps(login("concat", "moonlight"), []step{{shows: "Your PIN", types: "424242\r"}}, connected)},
		{name: "dynamic", steps: steps(login("dynamic", "moonlight"), []step{{shows: "Code from your token", types: "246810\r"}}, connected)},
		{name: "code", steps: steps(login("code", "x"), []step{{shows: "Code from your phone", types: "135790\r"}}, connected)},
		{name: "wrong-code", steps: steps(login("code", "x"), []step{{shows: "Code from your phone", types: "1\r"}, {shows: "(wrong code); 2 more tries"}, {shows: "user name", types: "\x03"}}), code: 5},
		{name: "evil", steps: login("evil", "x"), code: 4, want: "no address of a web page"},
		{name: "passphrase", more: []string{"key locked.key"},
			steps: steps(login("joe", "moonlight"), []step{{shows: "passphrase of", types: "sunlight\r"}, {shows: "does not open the private key; 2 more tries"}, {shows: "passphrase of", types: "moonlight\r"}}, connected)},
		{name: "passphrase-lost", once: true, more: []string{"key locked.key"},
			steps: steps(login("joe", "moonlight"), []step{{shows: "passphrase of", types: "a\r"}, {shows: "more tries"}, {shows: "passphrase of", types: "b\r"}, {shows: "more try"}, {shows: "passphrase of", types: "c\r"}}), code: 4, want: "whoever made the profile"},

		{name: "proxy", more: []string{"proto tcp4-client", remote(portTCP), proxyLine + " stdin basic"},
			steps: steps(login("joe", "moonlight"), way, connected)},
		{name: "proxy-login", once: true, more: []string{"proto tcp4-client", remote(portTCP), proxyLine}, steps: login("joe", "moonlight"), code: 4, want: "the HTTP proxy wants a user name"},
		{name: "proxy-astray", once: true, more: []string{"proto tcp4-client", remote(9), proxyLine + " stdin basic"}, flags: []string{"--timeout", "2s"},
			steps: steps(login("joe", "moonlight"), way), code: 5, want: "the HTTP proxy does not reach the server (502"},

		{name: "dead", once: true, more: []string{remote(9)}, flags: []string{"--timeout", "2s"}, steps: login("joe", "moonlight"), code: 5, want: "nothing listens at 127.0.0.1:9"},
		{name: "dead-tcp", once: true, more: []string{"proto tcp4-client", remote(9)}, flags: []string{"--timeout", "2s"}, steps: login("joe", "moonlight"), code: 5, want: "nothing listens at 127.0.0.1:9"},
		{name: "silent", once: true, more: []string{remote(portSilent)}, flags: []string{"--timeout", "2s"}, steps: login("joe", "moonlight"), code: 5, want: "no answer from 127.0.0.1:1198"},
		{name: "blocked", more: []string{"connect-timeout 1", "connect-retry 1 1", remote(portSilent) + " udp4", remote(portTCP) + " tcp4-client"},
			steps: steps(login("joe", "moonlight"), []step{{shows: "no answer from 127.0.0.1:1198"}}, connected)},
		{name: "nowhere", once: true, more: []string{"remote nosuch.invalid 1194"}, flags: []string{"--timeout", "2s"}, steps: login("joe", "moonlight"), code: 5, want: "the name nosuch.invalid is not found"},
		{name: "unroutable", once: true, more: []string{"remote 192.0.2.1 1194"}, flags: []string{"--timeout", "2s"}, steps: login("joe", "moonlight"), code: 5, want: "there is no way to 192.0.2.1:1194"},
		// A server without that key is silent, or answers what looks to it like a packet: either way the key is named.
		{name: "key-of-none", more: []string{"tls-crypt crypt.key"}, flags: []string{"--timeout", "2s"}, steps: login("joe", "moonlight"), code: 5, want: "tls-auth"},
		{name: "cipher", more: []string{"data-ciphers AES-128-CBC"}, steps: login("joe", "moonlight"), code: 4, want: "no cipher"},
		{name: "expired", more: []string{"cert old.crt", "key old.key"}, steps: login("joe", "moonlight"), code: 4, want: "certificate of this profile"},
		{name: "expired-server", more: []string{remote(portExpired)}, steps: login("joe", "moonlight"), code: 4, want: "has expired: tell the operator"},
		{name: "other-authority", more: []string{"ca elsewhere.crt"}, steps: login("joe", "moonlight"), code: 4, want: "not from the authority"},
		{name: "other-name", more: []string{"verify-x509-name nobody name"}, steps: login("joe", "moonlight"), code: 4, want: "the server is CN=server and not nobody"},
		{name: "stranger", more: []string{"proto tcp4-client", remote(portTCP), "cert stranger.crt", "key stranger.key"}, flags: []string{"--timeout", "2s"}, steps: login("joe", "moonlight"), want: "certificate", code: -1},
		{name: "no-root", once: true, more: []string{"dev tun"}, user: 65534, steps: login("joe", "moonlight"), code: 1, want: "run it as root"},
		{name: "other-key", once: true, more: []string{"key stranger.key"}, code: 2, want: "does not belong to the certificate"},
		{name: "other-port", once: true, more: []string{"remote 127.0.0.1 99999"}, code: 2, want: "99999"},
		{name: "foreign", once: true, more: []string{"block-outside-dns"}, code: 2, want: "ignore-unknown-option block-outside-dns"},
		{name: "no-key", once: true, more: []string{"tls-crypt none.key"}, code: 2, want: "none.key"},
		{name: "mistake", once: true, more: []string{"remmote x"}, code: 2, want: "remote"},
		{name: "interrupted", once: true, steps: []step{{shows: "user name", types: "\x03"}}, code: 5, want: "interrupted"},
		{name: "interrupted-password", once: true, steps: []step{{shows: "user name", types: "joe\r"}, {shows: "password: ", types: "\x03"}}, code: 5, want: "interrupted"},
		{name: "interrupted-pin", once: true, more: []string{`static-challenge "Your PIN" 1`}, steps: steps(login("static", "moonlight"), []step{{shows: "Your PIN", types: "\x03"}}), code: 5, want: "interrupted"},
		{name: "interrupted-token", steps: steps(login("dynamic", "moonlight"), []step{{shows: "Code from your token", types: "\x03"}}), code: 5, want: "interrupted"},
		{name: "interrupted-code", steps: steps(login("code", "x"), []step{{shows: "Code from your phone", types: "\x03"}}), code: 5, want: "interrupted"},
		{name: "interrupted-key", once: true, more: []string{"key locked.key"}, steps: steps(login("joe", "moonlight"), []step{{shows: "passphrase of", types: "\x03"}}), code: 5, want: "interrupted"},
		{name: "interrupted-proxy", once: true, more: []string{"proto tcp4-client", remote(portTCP), proxyLine + " stdin basic"}, steps: steps(login("joe", "moonlight"), []step{{shows: "user name for the HTTP proxy", types: "\x03"}}), code: 5, want: "interrupted"},
		{name: "interrupted-later", once: true, more: []string{remote(9)}, steps: steps(login("joe", "moonlight"), []step{{shows: "nothing listens", types: "\x03"}}), code: 5, want: "interrupted"},
	}
	vpns(t, func(t *testing.T, program []string) {
		v := newVPN(t, program...)
		for _, tt := range cases {
			if tt.once && !v.ours {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				cmd := v.command(append([]string{"connect", v.profile(tt.name, tt.more...)}, tt.flags...)...)
				if tt.user != 0 {
					v.to(cmd, tt.user)
				}
				tty, out, wait := onTerminal(t, cmd)
				play(t, tty, out, tt.steps)
				came := len(tt.steps) > 0 && tt.steps[len(tt.steps)-1].shows == up
				if came {
					if text, err := v.command("-a", tt.name, "state").CombinedOutput(); err != nil || !strings.Contains(string(text), "CONNECTED") {
						t.Errorf("state: %v\n%s", err, text)
					}
					tty.WriteString("\x03")
				}
				// Whether a server's alert comes before it closes the connection is up to it.
				if code := wait(); code != tt.code && !(tt.code == -1 && (code == 4 || code == 5)) {
					t.Errorf("exit code %d, want %d\n%s", code, tt.code, out)
				}
				if !strings.Contains(out.String(), tt.want) || came && !strings.Contains(out.String(), "disconnected") {
					t.Errorf("no %q, or the end is not told:\n%s", tt.want, out)
				}
				for _, secret := range []string{"moonlight", "sunlight"} {
					if strings.Contains(out.String(), secret) {
						t.Errorf("a password was shown:\n%s", out)
					}
				}
				v.gone(t, tt.name)
			})
		}
		t.Run("asks", func(t *testing.T) { t.Parallel(); connectAnswersAScript(t, v) })
		t.Run("web", func(t *testing.T) { t.Parallel(); connectByBrowser(t, v) })
	})
}

// connectAnswersAScript answers what is neither name nor password (NEED-OK, NEED-STR), which a script of the daemon asks while the tunnel comes.
func connectAnswersAScript(t *testing.T, v *vpn) {
	v.write("ask.lua", `moongate.after(0, function()
		local ok = moongate.ask_ok("card", "Insert the card")
		local slot = ok and moongate.ask_string("slot", "Which slot?")
		print("the slot is " .. tostring(slot))
	end)`)
	tty, out, wait := onTerminal(t, v.command("connect", v.profile("asks", "script ask.lua")))
	// The server and the script ask beside each other: each question is answered when it comes.
	for left := append(login("joe", "moonlight"), step{shows: "Insert the card [Y/n]", types: "\r"}, step{shows: "Which slot?", types: "two words\r"}); len(left) > 0; {
		next := -1
		eventually(t, left[0].shows, func() bool {
			next = slices.IndexFunc(left, func(s step) bool { return strings.Contains(out.String(), s.shows) })
			return next >= 0
		})
		tty.WriteString(left[next].types)
		left = slices.Delete(left, next, next+1)
	}
	// Each look at the log adds lines to it, and it is shown from the newest on: who looks often does not see far. Following misses nothing.
	follow, log := v.command("log", "--all", "-f", "-a", "asks"), &screen{}
	follow.Stdout, follow.Stderr = log, log
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { follow.Process.Kill(); follow.Wait() })
	eventually(t, "the answer", func() bool { return strings.Contains(log.String(), "the slot is two words") })
	eventually(t, "the tunnel", func() bool { return strings.Contains(out.String(), up) })
	tty.WriteString("\x03")
	if code := wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	v.gone(t, "asks")
}

// connectByBrowser logs in at a page: in the person's browser, or elsewhere where there is none or it does not start.
func connectByBrowser(t *testing.T, v *vpn) {
	browsers := map[string]string{ // xdg-open
		"none":   "",
		"broken": "exit 3",
		"real":   "exec chromium --headless --no-sandbox --disable-gpu --user-data-dir=" + v.dir + "/chromium --dump-dom \"$1\" >" + v.dir + "/seen",
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Log("NOT TESTED: a real browser, as there is no chromium; sh test/install-deps.sh installs it. curl takes its place")
		browsers["real"] = "exec curl -sS \"$1\" >" + v.dir + "/seen"
	}
	for name, script := range browsers {
		if name != "none" && !v.ours { // a browser is the same whatever server sends it
			continue
		}
		for _, user := range []string{"web", "url"} {
			profile := name + "-" + user
			t.Run(profile, func(t *testing.T) {
				os.Remove(filepath.Join(v.dir, "seen"))
				cmd := v.command("connect", v.profile(profile))
				if script != "" {
					bin := filepath.Join(v.dir, name)
					if err := os.MkdirAll(bin, 0o755); err != nil {
						t.Fatal(err)
					}
					v.write(name+"/xdg-open", "#!/bin/sh\n"+script+"\n")
					cmd.Env = append(cmd.Env, "DISPLAY=:77", "PATH="+bin+":"+os.Getenv("PATH"))
				}
				tty, out, wait := onTerminal(t, cmd)
				shows := "log in at this page"
				if name == "real" {
					shows = "log in at the page that opens in the browser"
				}
				play(t, tty, out, append(login(user, "x"), step{shows: shows}))
				if name != "real" {
					var page string
					eventually(t, "the address and its QR code", func() bool {
						page = regexp.MustCompile(`http://\S+/login/s\d+`).FindString(out.String())
						return page != "" && strings.Contains(out.String(), "▄")
					})
					if err := v.get(page); err != nil {
						t.Fatal(err)
					}
				}
				play(t, tty, out, []step{{shows: up, types: "\x03"}})
				if code := wait(); code != 0 {
					t.Errorf("exit code %d\n%s", code, out)
				}
				if name == "real" { // outlives connect
					eventually(t, "the page in the browser", func() bool {
						seen, _ := os.ReadFile(filepath.Join(v.dir, "seen"))
						return strings.Contains(string(seen), "Welcome")
					})
				}
				v.gone(t, profile)
			})
		}
	}
}

// A hidden question leaves the terminal as it was, however it ends, and no key leaves it half done.
func TestConnectRestoresTheTerminal(t *testing.T) {
	v := &vpn{t: t, dir: shortDir(t)} // nobody gets as far as the network
	v.certificates()
	file := v.profile("office")
	for _, tt := range []struct {
		name, types string
		signal      unix.Signal
		code        int
	}{
		{name: "Ctrl-C", types: "secret\x03", code: 5},
		{name: "keys that do nothing", types: "\x1a\x1csecret\x03", code: 5},
		{name: "hang-up", signal: unix.SIGHUP, code: 5},
		{name: "quit", signal: unix.SIGQUIT, code: 5},
		{name: "term", signal: unix.SIGTERM, code: 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := v.command("connect", file)
			out, modes, tty := onOwnTerminal(t, cmd)
			before := modes()
			play(t, tty, out, []step{{shows: "user name", types: "joe\r"}, {shows: "password: ", types: tt.types}})
			if tt.signal != 0 {
				cmd.Process.Signal(tt.signal)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d\n%s", code, tt.code, out)
			}
			if after := modes(); before != after {
				t.Errorf("modes before %+v, after %+v", before, after)
			}
			v.gone(t, "office")
		})
	}
}
