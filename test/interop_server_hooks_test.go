//go:build linux

package test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
)

// hookLab writes a script that notes its arguments and its environment in a file, and answers with what further commands
// say.
func (l *lab) hookLab(t *testing.T, name, further string) string {
	t.Helper()
	return l.script(t, name+".sh", fmt.Sprintf(`at=%[1]s/note.$$
{
	echo "== $script_type"
	for a in "$@"; do printf 'arg %%s\n' "$a"; done
	/usr/bin/env | /usr/bin/sort
} >$at
cat $at >>%[1]s/calls
rm $at
%[2]s`, l.dir, further))
}

// Values that differ from run to run, by variable.
var (
	hookShell  = regexp.MustCompile(`^(PATH|PWD|OLDPWD|SHLVL|_)=`) // the shell's own
	hookVaries = regexp.MustCompile(`^(daemon_pid|daemon_start_time|time_unix|time_ascii|time_duration|trusted_port|untrusted_port|bytes_received|bytes_sent|session_id|exported_keying_material)=.+`)
	hookTmp    = regexp.MustCompile(`[^ =]*/openvpn_([a-z0-9_]+)_[0-9a-f]+\.tmp`)
	hookPort   = regexp.MustCompile(`(10\.99\.0\.2|fd99::2|10\.99\.0\.1)[: ][0-9]+`)
)

// calls reads what scripts noted, one text a call. Of the variables only names stay where values vary. Where ours
// is to be better it is left out: exchange files that are gone already stay in stock's environment for good, and addresses are
// deleted, and metadata verified, with an environment of next to nothing. Stock deletes in no particular order.
func (l *lab) calls() []string {
	var calls []string
	for _, call := range strings.Split(fileText(l.file("calls")), "== ")[1:] {
		lines := strings.Split(strings.TrimSuffix(call, "\n"), "\n")
		deleted := slices.Contains(lines, "arg delete")
		var keep []string
		for _, line := range lines {
			line = hookTmp.ReplaceAllString(line, "TMP_$1")
			line = hookVaries.ReplaceAllString(line, "$1")
			line = hookPort.ReplaceAllString(line, "$1 PORT")
			switch {
			case hookShell.MatchString(line):
			case lines[0] != "user-pass-verify" && strings.HasPrefix(line, "auth_") && strings.Contains(line, "_file="):
			case (deleted || lines[0] == "tls-crypt-v2-verify") && !strings.HasPrefix(line, "metadata_") && !strings.HasPrefix(line, "arg ") && line != lines[0]:
			default:
				keep = append(keep, line)
			}
		}
		slices.Sort(keep[1:])
		calls = append(calls, strings.Join(keep, "\n"))
		for k := len(calls) - 1; k > 0 && deleted && strings.Contains(calls[k-1], "arg delete") && calls[k-1] > calls[k]; k-- {
			calls[k-1], calls[k] = calls[k], calls[k-1]
		}
	}
	return calls
}

// sameCalls compares what the scripts note in a life of the stock daemon and in one of ours.
func (l *lab) sameCalls(t *testing.T, life func(start starter)) {
	t.Helper()
	notes := make(map[string][]string)
	for who, start := range compared {
		life(start)
		notes[who] = l.calls()
		_ = os.Remove(l.file("calls"))
	}
	if diff := cmp.Diff(notes["stock"], notes["ours"]); diff != "" {
		t.Errorf("calls (-stock +ours):\n%s", diff)
	}
}

// One life of a client, noted by every script of the server: each is called as often, with the same arguments and
// variables, by our server and by the stock one.
func TestServerHooksLikeStock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client []string
		login          bool
		files          func(t *testing.T, l *lab)
	}{
		{
			name: "subnet-via-file", login: true,
			server: []string{"--topology", "subnet", "--server-ipv6", "fd08::/64", "--auth-user-pass-verify", "HOOK", "via-file", "--client-config-dir", "CCD", "--setenv", "OWN", "a value", "--setenv-safe", "SAFE", "x"},
			client: []string{"--push-peer-info", "--setenv", "UV_OWN", "odd value;"},
			files: func(t *testing.T, l *lab) {
				l.write(t, "ccd/client1", []byte("iroute 10.50.0.0 255.255.0.0\niroute 10.51.0.0 255.255.0.0\niroute 10.53.0.9\niroute-ipv6 fd50::/48\niroute-ipv6 fd51::/48\niroute-ipv6 fd52::5/64\niroute-ipv6 fd53::9/128\nifconfig-push 10.8.0.50 255.255.255.0\nifconfig-ipv6-push fd08::50/64\n"))
			},
		},
		{
			name: "net30-via-env", login: true,
			server: []string{"--topology", "net30", "--auth-user-pass-verify", "HOOK", "via-env", "--script-security", "3", "--username-as-common-name", "--verify-client-cert", "optional"},
		},
		{name: "p2p-token", login: true, server: []string{"--topology", "p2p", "--auth-user-pass-verify", "HOOK", "via-file", "--auth-gen-token", "3600", "external-auth"}},
		{
			name:   "certificates",
			server: []string{"--x509-track", "+CN", "--tls-export-cert", "CCD", "--keying-material-exporter", "EXPORTER_test", "32", "--route", "10.50.0.0", "255.255.0.0", "--route-ipv6", "fd50::/48"},
		},
		{name: "tcp-tls-crypt-v2", files: v2Keys, server: []string{"--proto", "tcp-server", "--tls-crypt-v2", "v2s.key", "--tls-crypt-v2-verify", "HOOK"}, client: []string{"--proto", "tcp-client", "--tls-crypt-v2", "v2c.key"}},
		{name: "login that nobody checks", login: true},
		{name: "udp6", server: []string{"--proto", "udp6"}, client: []string{"--proto", "udp6", "--remote", "fd99::1", "1194"}},
		{name: "tap", server: []string{"--dev", "tap"}, client: []string{"--dev", "tap", "--lladdr", "02:00:00:00:00:02"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if err := os.Mkdir(l.file("ccd"), 0o755); err != nil {
				t.Fatal(err)
			}
			if tt.files != nil {
				tt.files(t, l)
			}
			hook := l.hookLab(t, "hook", "")
			args := l.paths(tt.server)
			for k, a := range args {
				switch a {
				case "HOOK":
					args[k] = hook
				case "CCD":
					args[k] = l.file("ccd")
				}
			}
			if !slices.Contains(args, "--script-security") {
				args = append(args, "--script-security", "2")
			}
			for _, option := range []string{"--up", "--down", "--route-up", "--route-pre-down", "--tls-verify", "--client-connect", "--client-disconnect", "--learn-address"} {
				args = append(args, option, hook)
			}
			client := append(l.paths(tt.client), "--explicit-exit-notify", "1")
			if tt.login {
				client = append(client, "--auth-user-pass", l.login(t, "user1", "pass word"))
			}
			life := func(start starter) {
				t.Helper()
				s := start(t, l.server, l.serverArgs(args...))
				s.WaitLine(t, up, upLimit)
				c := stock(t, l.client, l.clientArgs(client...))
				c.WaitLine(t, up, upLimit)
				ping(t, l.client, "10.8.0.1", 1, 0, "0.1") // a station is learned by what it sends
				c.Stop(t)
				s.WaitLine(t, "client-instance", upLimit)
				await(t, "client-disconnect ran", upLimit, func() bool { return strings.Contains(fileText(l.file("calls")), "script_type=client-disconnect") })
				terminate(t, s)
			}
			l.sameCalls(t, life)
		})
	}
}

// A peer without pull: its scripts see what those of a stock one do, on the answering and on the calling side.
func TestPeerHooksLikeStock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		wait, caller []string
		calling      bool // watch the caller
	}{
		{name: "tls-server", wait: []string{"--tls-server"}, caller: []string{"--tls-client"}},
		{name: "tls-client", wait: []string{"--tls-server"}, caller: []string{"--tls-client"}, calling: true},
		{name: "secret", wait: []string{"--secret", "ta.key", "--cipher", "AES-256-CBC"}, caller: []string{"--secret", "ta.key", "--cipher", "AES-256-CBC"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			hook := l.hookLab(t, "hook", "")
			args := func(calling bool, who string, own []string) []string {
				own = l.paths(own)
				if tt.name != "secret" {
					own = append(own, "--ca", l.file("ca.crt"), "--cert", l.file(who+".crt"), "--key", l.file(who+".key"))
					if !calling {
						own = append(own, "--dh", "none")
					}
				}
				if calling == tt.calling {
					own = append(own, "--script-security", "2", "--route", "10.50.0.0", "255.255.0.0", "--verb", "3")
					options := []string{"--up", "--down", "--route-up", "--route-pre-down", "--ipchange"}
					if tt.name != "secret" {
						options = append(options, "--tls-verify")
					}
					for _, option := range options {
						own = append(own, option, hook)
					}
				}
				return l.peerArgs(calling, own...)
			}
			life := func(start starter) {
				t.Helper()
				startWait, startCall := start, stock
				if tt.calling {
					startWait, startCall = stock, start
				}
				w := startWait(t, l.server, args(false, "server", tt.wait))
				w.WaitLine(t, "link remote", upLimit)
				c := startCall(t, l.client, args(true, "client", tt.caller))
				w.WaitLine(t, up, upLimit)
				c.WaitLine(t, up, upLimit)
				await(t, "ipchange ran", upLimit, func() bool { return strings.Contains(fileText(l.file("calls")), "script_type=ipchange") })
				watched, other := w, c
				if tt.calling {
					watched, other = c, w
				}
				terminate(t, watched)
				other.Stop(t)
			}
			l.sameCalls(t, life)
		})
	}
}

// A client's answer to a challenge reaches the script as it does with the stock server. The client sends a certificate that
// has nothing to do with its own, and leaves the authority out: scripts see the chain that was verified.
func TestChallengeResponseHookLikeStock(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	cert, err := tls.LoadX509KeyPair(l.file("client.crt"), l.file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := pki.NewCA("Head Office CA")
	if err != nil {
		t.Fatal(err)
	}
	cert.Certificate = append(cert.Certificate, foreign.Cert.Raw)
	hook := l.hookLab(t, "hook", `echo "arg content $(cat "$1")" >>`+l.file("calls"))
	life := func(start starter) {
		t.Helper()
		verify := l.script(t, "verify.sh", `printf '20\ncrtext\nCR_TEXT:R,E:Code\n' >"$auth_pending_file"; exit 2`)
		s := start(t, l.server, l.serverArgs("--script-security", "2", "--client-crresponse", hook, "--auth-user-pass-verify", verify, "via-file"))
		s.WaitLine(t, up, upLimit)
		p, err := newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), cert, "V4", usual+"IV_SSO=crtext\n")
		if err != nil {
			t.Fatal(err)
		}
		defer p.session.Close()
		p.user, p.pass = "user1", "pass"
		// An answer counts while a step is pending, and only then.
		if err := p.play(5*time.Second, func() bool { return p.told("INFO_PRE") }); err != nil {
			t.Fatal(err)
		}
		if err := p.session.SendText("CR_RESPONSE,SGVsbG8gV29ybGQ="); err != nil {
			t.Fatal(err)
		}
		if err := p.play(5*time.Second, func() bool { return strings.Contains(fileText(l.file("calls")), "arg content") }); err != nil {
			t.Error(err)
		}
		terminate(t, s)
	}
	l.sameCalls(t, life)
}
