//go:build linux

package test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/tls"
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
	return l.server.Start(t, "unshare", append([]string{"-m", "sh", "-c", text + "\n" + `exec "$@"`, "sh"}, append(words, args...)...)...)
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

func TestPluginAuthPAM(t *testing.T) {
	t.Parallel()
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

// varies is what differs from run to run in lines about plugins.
var varies = regexp.MustCompile(`10\.99\.0\.2[: ]\d+|openvpn_[a-z]+_[0-9a-f]+\.tmp|/tmp/\S*?/\d+/`)

// pluginStory is what the plugin lines of a server and the notes of the probe tell, without what varies.
func (l *lab) pluginStory(s *daemontest.Process) string {
	var b strings.Builder
	for line := range strings.SplitSeq(s.Log(), "\n") {
		if strings.Contains(line, "PLUGIN") || strings.Contains(line, "plugin call failed") || strings.Contains(line, "AUTH_FAILED") {
			_, text, _ := strings.Cut(line, " ")
			_, text, _ = strings.Cut(text, " ")
			if strings.Contains(text, "[UNDEF]") {
				continue // stock tells a refused client twice
			}
			b.WriteString(varies.ReplaceAllString(strings.TrimRight(text, " "), "*") + "\n")
		}
	}
	b.WriteString("notes:\n")
	for line := range strings.SplitSeq(fileText(l.file("note")), "\n") {
		if strings.HasPrefix(line, "== event") || strings.HasPrefix(line, "== open") || strings.HasPrefix(line, "== close") || strings.HasPrefix(line, "arg ") && !strings.Contains(line, "note=") {
			line = regexp.MustCompile(` (context|call|cert|ssl_api)=\d+`).ReplaceAllString(line, "")
			b.WriteString(varies.ReplaceAllString(line, "*") + "\n")
		}
	}
	return b.String()
}

// sameStory plays a server's life on stock and on ours, on the same two hosts, each to its end, and compares what the log and the probe
// tell of it. What a life starts ends with it.
func sameStory(t *testing.T, life func(t *testing.T, who string, l *lab) (server *daemontest.Process)) {
	t.Helper()
	stories := make(map[string][]string)
	l := newLab(t)
	for _, who := range []string{"stock", "ours"} {
		if !t.Run(who, func(t *testing.T) {
			s := life(t, who, l)
			s.Signal(t, syscall.SIGTERM)
			_ = s.Wait(t, upLimit)
			stories[who] = strings.Split(l.pluginStory(s), "\n")
		}) {
			return
		}
		_ = os.Remove(l.file("note"))
	}
	if diff := cmp.Diff(stories["stock"], stories["ours"]); diff != "" {
		t.Errorf("story (-stock +ours):\n%s", diff)
	}
}

// One life of a client under a server with the probe: our log has stock's lines about plugins, and the probe hears of the
// same events with the same arguments.
func TestPluginLikeStock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		plugins []string // arguments of each probe
		options []string
		fate    string // a line of the client that does not get in, "no server", or empty
	}{
		{name: "all events", plugins: []string{"on=0,1,2,3,4,5,6,7,8,9,10,12"}},
		{name: "with scripts", plugins: []string{"on=0,1,2,3,4,5,6,7,8,9,10,12"}, options: []string{
			"--script-security", "2", "--up", "SCRIPT", "--down", "SCRIPT", "--route-up", "SCRIPT", "--client-connect", "SCRIPT", "--learn-address", "SCRIPT", "--client-disconnect", "SCRIPT",
		}},
		{name: "two", plugins: []string{"on=4,5,8", "on=5,6,7"}},
		{name: "first refuses", plugins: []string{"on=5 5=fail", "on=5"}, fate: "AUTH_FAILED"},
		{name: "second refuses", plugins: []string{"on=5", "on=5 5=reason"}, fate: "AUTH_FAILED"},
		{name: "deferred", plugins: []string{"on=5 5=defer", "on=5"}},
		{name: "deferred refusal", plugins: []string{"on=5 5=defer-fail"}, fate: "AUTH_FAILED"},
		{name: "connect lines", plugins: []string{"on=6,9 6=config 9=config"}},
		{name: "connect deferred", plugins: []string{"on=6,9,13,14 6=defer-never 13=config 9=defer-never 14=config"}},
		{name: "connect refused later", plugins: []string{"on=6,13 6=defer-never 13=fail"}, fate: "AUTH_FAILED"},
		{name: "connect refused", plugins: []string{"on=6,9 6=fail"}, fate: "AUTH_FAILED"},
		{name: "lines refused", plugins: []string{"on=6,9 9=fail"}, fate: "AUTH_FAILED"},
		{name: "key refused", plugins: []string{"on=5,10 10=fail"}, fate: "AUTH_FAILED"},
		{name: "key put off", plugins: []string{"on=5,10 10=defer"}, fate: "AUTH_FAILED"},
		{name: "key put off without a login", plugins: []string{"on=10 10=defer"}, fate: "AUTH_FAILED"},
		{name: "learn refused", plugins: []string{"on=8 8=fail"}},
		{name: "learn put off", plugins: []string{"on=8 8=defer"}},
		{name: "address put off", plugins: []string{"on=3 3=defer"}},
		{name: "disconnect put off", plugins: []string{"on=7 7=defer"}},
		{name: "route-up put off", plugins: []string{"on=2 2=defer"}},
		{name: "certificate put off", plugins: []string{"on=4 4=defer"}, fate: "TLS handshake failed"},
		{name: "tunnel refused", plugins: []string{"on=0,1 0=fail"}, fate: "no server"},
		{name: "tunnel refused by the script", plugins: []string{"on=0,1"}, options: []string{"--script-security", "2", "--up", "/bin/false", "--down", "SCRIPT"}, fate: "no server"},
		{name: "tunnel put off", plugins: []string{"on=0,1 0=defer"}, fate: "no server"},
		{name: "disconnect refused", plugins: []string{"on=7,3 7=fail 3=fail"}},
		{name: "logs", plugins: []string{"on=5 5=log"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sameStory(t, func(t *testing.T, who string, l *lab) *daemontest.Process {
				args := l.serverArgs(tt.options...)
				script := l.script(t, "script.sh", `echo "PLUGIN and script $script_type"`)
				for n, a := range args {
					if a == "SCRIPT" {
						args[n] = script
					}
				}
				for _, p := range tt.plugins {
					args = append(append(args, "--plugin", probe(t), "note="+l.file("note")), strings.Fields(p)...)
				}
				s := compared[who](t, l.server, args)
				if tt.fate == "no server" {
					s.WaitLine(t, "Exiting due to fatal error", upLimit)
					return s
				}
				s.WaitLine(t, up, upLimit)
				c := stock(t, l.client, l.clientArgs("--auth-user-pass", l.login(t, "alice", "secret"), "--auth-retry", "none"))
				switch tt.fate {
				case "":
					c.WaitLine(t, up, upLimit)
				case "AUTH_FAILED":
					c.WaitLine(t, tt.fate, upLimit)
					_ = c.Wait(t, upLimit)
				default:
					s.WaitLine(t, tt.fate, upLimit)
				}
				return s
			})
		})
	}
}

// down-root runs its command as root after the daemon has become nobody, and up to then as well.
func TestPluginDownRoot(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"stock", "ours"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			script := l.script(t, "down.sh", `id -un >>`+l.file("out"))
			s := l.startWith(t, who, "", l.serverArgs("--plugin", "openvpn-plugin-down-root.so", script, "--user", "nobody", "--persist-key", "--persist-tun"))
			s.WaitLine(t, "UID set to nobody", upLimit)
			s.WaitLine(t, up, upLimit)
			s.Signal(t, syscall.SIGTERM)
			s.WaitLine(t, "PLUGIN_CALL: POST openvpn-plugin-down-root.so/PLUGIN_DOWN status=0", upLimit)
			_ = s.Wait(t, upLimit)
			if got := fileText(l.file("out")); got != "root\n" {
				t.Errorf("the command notes %q\n%s", got, s.Log())
			}
		})
	}
}

func TestPluginLDAP(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	db := l.file("ldap")
	if err := os.Mkdir(db, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := l.write(t, "slapd.conf", []byte("include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n"+
		"modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile "+l.file("slapd.pid")+"\ndatabase mdb\nsuffix dc=lab\nrootdn cn=root,dc=lab\nrootpw top\nmaxsize 10485760\ndirectory "+db+"\n"))
	ldif := l.write(t, "lab.ldif", []byte("dn: dc=lab\nobjectClass: dcObject\nobjectClass: organization\no: lab\ndc: lab\n\n"+
		"dn: uid=alice,dc=lab\nobjectClass: inetOrgPerson\ncn: Alice\nsn: A\nuid: alice\nuserPassword: secret\n"))
	l.server.Run(t, "slapadd", "-f", conf, "-l", ldif)
	l.server.Start(t, "slapd", "-d", "0", "-f", conf, "-h", "ldap://127.0.0.1:3389")
	listens(t, l.server, "127.0.0.1:3389")
	auth := l.write(t, "auth-ldap.conf", []byte("<LDAP>\n\tURL ldap://127.0.0.1:3389\n\tBindDN cn=root,dc=lab\n\tPassword top\n\tTimeout 5\n\tTLSEnable no\n</LDAP>\n"+
		"<Authorization>\n\tBaseDN \"dc=lab\"\n\tSearchFilter \"(uid=%u)\"\n\tRequireGroup false\n</Authorization>\n"))
	probe(t)
	s := ours(t, l.server, l.serverArgs("--plugin", "/usr/lib/openvpn/openvpn-auth-ldap.so", auth, "--username-as-common-name"))
	l.logIn(t, s, "alice", "secret")
	l.logInRefused(t, "alice", "wrong", "")
	l.logInRefused(t, "mallory", "secret", "")
	terminate(t, s)
}

func TestPluginRADIUS(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	users := l.write(t, "users", []byte("alice Cleartext-Password := \"secret\"\n"))
	l.write(t, "radiusd.conf", []byte(`prefix = /usr
logdir = `+l.dir+`
run_dir = `+l.dir+`
libdir = /usr/lib/freeradius
security {
	allow_vulnerable_openssl = yes
}
client lab {
	ipaddr = 127.0.0.1
	secret = testpw
}
modules {
	files {
		usersfile = `+users+`
	}
	pap {
	}
	always ok {
		rcode = ok
	}
}
server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = 1812
	}
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = 1813
	}
	authorize {
		files
		pap
	}
	authenticate {
		pap
	}
	accounting {
		ok
	}
}
`))
	radius := l.server.Start(t, "freeradius", "-f", "-l", "stdout", "-d", l.dir, "-D", "/usr/share/freeradius", "-x")
	radius.WaitLine(t, "Ready to process requests", upLimit)
	own := l.write(t, "server.conf", []byte("status "+l.file("status.log")+" 1\n"))
	conf := l.write(t, "radiusplugin.cnf", []byte("NAS-Identifier=OpenVpn\nService-Type=5\nFramed-Protocol=1\nNAS-Port-Type=5\nNAS-IP-Address=127.0.0.1\nOpenVPNConfig="+own+
		"\nsubnet=255.255.255.0\noverwriteccfiles=false\nserver\n{\n\tacctport=1813\n\tauthport=1812\n\tname=127.0.0.1\n\tretry=1\n\twait=1\n\tsharedsecret=testpw\n}\n"))
	probe(t)
	s := ours(t, l.server, l.serverArgs("--plugin", "/usr/lib/openvpn/radiusplugin.so", conf, "--username-as-common-name", "--status", l.file("status.log"), "1"))
	l.logIn(t, s, "alice", "secret")
	l.logInRefused(t, "alice", "wrong", "")
	l.logIn(t, s, "alice", "secret")
	terminate(t, s)
	if n := strings.Count(radius.Log(), "Accounting-Request"); n == 0 {
		t.Errorf("no accounting:\n%s", radius.Log())
	}
}

// listens waits until a port of a host can be connected to.
func listens(t *testing.T, n *daemontest.Namespace, addr string) {
	t.Helper()
	eventually(t, upLimit, func() string {
		var failed error
		n.Do(t, func() error {
			var c net.Conn
			if c, failed = net.Dial("tcp", addr); failed == nil {
				c.Close()
			}
			return nil
		})
		if failed != nil {
			return failed.Error()
		}
		return ""
	})
}

// A plugin asks a client for a code, and lets it in once it has heard the answer.
func TestPluginAsksLikeStock(t *testing.T) {
	t.Parallel()
	sameStory(t, func(t *testing.T, who string, l *lab) *daemontest.Process {
		cert, err := tls.LoadX509KeyPair(l.file("client.crt"), l.file("client.key"))
		if err != nil {
			t.Fatal(err)
		}
		s := compared[who](t, l.server, l.serverArgs("--plugin", probe(t), "note="+l.file("note"), "on=5,15", "5=ask", "15=grant"))
		s.WaitLine(t, up, upLimit)
		p, err := newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), cert, "V4", usual+"IV_SSO=crtext\n")
		if err != nil {
			t.Fatal(err)
		}
		p.user, p.pass = "alice", "secret"
		if err := p.play(upLimit, func() bool { return p.told("INFO_PRE,CR_TEXT:R,E:Code") }); err != nil {
			t.Fatalf("%s: %v", who, err)
		}
		if err := p.session.SendText("CR_RESPONSE,MTIzNDU2"); err != nil {
			t.Fatal(err)
		}
		if err := p.play(upLimit, func() bool { return p.told("PUSH_REPLY") }); err != nil {
			t.Fatalf("%s: %v", who, err)
		}
		p.session.Close()
		_, heard, _ := strings.Cut(fileText(l.file("note")), "== event 15 ")
		for _, want := range []string{"crresponse=MTIzNDU2", "auth_control_file=", "auth_pending_file=", "auth_failed_reason_file=", "username=alice", "common_name=client1"} {
			if !strings.Contains(heard, "\nenv "+want) {
				t.Errorf("%s: the plugin has no %s:\n%s", who, want, heard)
			}
		}
		return s
	})
}

// A restart of a server, with plugins that are to stay or not, opens and closes them as stock does.
func TestPluginRestartsLikeStock(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]string{"all": nil, "persist": {"--persist-tun", "--persist-key"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sameStory(t, func(t *testing.T, who string, l *lab) *daemontest.Process {
				s := compared[who](t, l.server, l.serverArgs(append(options, "--plugin", probe(t), "note="+l.file("note"), "on=0,1,5")...))
				s.WaitLine(t, up, upLimit)
				from := s.Lines()
				s.Signal(t, syscall.SIGUSR1)
				s.WaitLineAfter(t, from, up, upLimit)
				l.logIn(t, s, "alice", "secret")
				return s
			})
		})
	}
}

// A client's plugins, and those of a peer at either end, decide about each key, the first and the renewed, as with stock.
func TestPluginDecidesAboutKeysLikeStock(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"accept": "", "refuse": "10=fail", "put off": "10=defer", "refuse a renewed one": "10=fail-again"} {
		for _, kind := range []string{"client", "tls-client", "tls-server"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				sameStory(t, func(t *testing.T, who string, l *lab) *daemontest.Process {
					extra := []string{"--verb", "3", "--reneg-sec", "3", "--plugin", probe(t), "note=" + l.file("note"), "on=0,10", answer}
					tls := func(file string) []string {
						return []string{"--dev", "tun", "--ca", l.file("ca.crt"), "--cert", l.file(file + ".crt"), "--key", l.file(file + ".key")}
					}
					var p *daemontest.Process
					start := compared[who]
					switch kind {
					case "client":
						l.stockServer(t)
						p = start(t, l.client, l.clientArgs(extra...))
					case "tls-client":
						stock(t, l.server, append(tls("server"), "--verb", "3", "--tls-server", "--dh", "none", "--ifconfig", "10.8.0.1", "10.8.0.2")).WaitLine(t, "link remote: ", upLimit)
						p = start(t, l.client, append(append(tls("client"), "--tls-client", "--remote", "10.99.0.1", "--ifconfig", "10.8.0.2", "10.8.0.1"), extra...))
					case "tls-server":
						p = start(t, l.server, append(append(tls("server"), "--tls-server", "--dh", "none", "--ifconfig", "10.8.0.1", "10.8.0.2"), extra...))
						p.WaitLine(t, "link remote: ", upLimit)
						stock(t, l.client, append(tls("client"), "--tls-client", "--remote", "10.99.0.1", "--ifconfig", "10.8.0.2", "10.8.0.1"))
					}
					if answer == "" {
						p.WaitLine(t, up, upLimit)
					} else {
						p.WaitLine(t, "SIGTERM[soft,auth-control-exit] received, process exiting", upLimit)
						if code := p.Wait(t, upLimit); code != 0 {
							t.Errorf("%s: exit status %d", who, code)
						}
					}
					if shown := strings.Contains(p.Log(), up); shown != (answer == "" || answer == "10=fail-again") {
						t.Errorf("%s: in use %v\n%s", who, shown, p.Log())
					}
					return p
				})
			})
		}
	}
}

// A plugin that would verify logins stops a daemon that gets none: with stock no peer gets in.
func TestPluginThatVerifiesAtClient(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	args := l.clientArgs("--tls-exit", "--plugin", probe(t), "note="+l.file("note"), "on=0,5")
	s := stock(t, l.client, args)
	s.WaitLine(t, "TLS Error: Auth Username/Password was not provided by peer", upLimit)
	_ = s.Wait(t, upLimit)
	c := ours(t, l.client, args)
	c.WaitLine(t, "a plugin wants to verify user names and passwords", upLimit)
	if code := c.Wait(t, upLimit); code != 1 {
		t.Errorf("exit status %d", code)
	}
}

// A peer whose plugin refuses the key of a second caller does what stock does: the session that it has goes on, or it ends.
func TestPluginRefusesASecondCallerLikeStock(t *testing.T) {
	t.Parallel()
	sameStory(t, func(t *testing.T, who string, l *lab) *daemontest.Process {
		tls := func(file string) []string {
			return []string{"--dev", "tun", "--ca", l.file("ca.crt"), "--cert", l.file(file + ".crt"), "--key", l.file(file + ".key"), "--verb", "3"}
		}
		p := compared[who](t, l.server, append(append(tls("server"), "--tls-server", "--dh", "none", "--ifconfig", "10.8.0.1", "10.8.0.2"),
			"--plugin", probe(t), "note="+l.file("note"), "on=0,10", "10=fail-again"))
		p.WaitLine(t, "link remote: ", upLimit)
		caller := append(tls("client"), "--tls-client", "--remote", "10.99.0.1", "--ifconfig", "10.8.0.2", "10.8.0.1")
		first := stock(t, l.client, caller)
		p.WaitLine(t, up, upLimit)
		first.WaitLine(t, up, upLimit)
		first.Signal(t, syscall.SIGKILL)
		_ = first.Wait(t, upLimit)
		stock(t, l.client, caller)
		p.WaitLine(t, "SIGTERM[soft,auth-control-exit] received, process exiting", upLimit)
		return p
	})
}

// With a static key nobody logs in: a plugin that would verify logins is opened, and never asked.
func TestPluginThatVerifiesWithAStaticKey(t *testing.T) {
	t.Parallel()
	sameStory(t, func(t *testing.T, who string, l *lab) *daemontest.Process {
		static := []string{"--secret", l.file("ta.key"), "--cipher", "AES-256-CBC", "--verb", "3"}
		p := programs[who](t, l.server, l.peerArgs(false, append(static, "--plugin", probe(t), "note="+l.file("note"), "on=0,5", "5=fail")...))
		stock(t, l.client, l.peerArgs(true, append(static, "--ping", "1")...)).WaitLine(t, up, upLimit)
		p.WaitLine(t, up, upLimit)
		return p
	})
}

// While a plugin hangs, crashes, ends or eats its memory over one login, another client's packets pass, that login fails, and
// the next one is decided by the plugin as if nothing had been.
func TestPluginHarmsItsOwnEvent(t *testing.T) {
	t.Parallel()
	for how, line := range map[string]string{
		"hang":  "it took longer than 2s and was killed",
		"crash": "it was ended by signal 11 (segmentation fault)",
		"exit":  "it exited with status 3",
		"leak":  "it was ended by signal 6 (aborted)",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.issue(t, "second", pki.Spec{Name: "client2"})
			// As it is released, as nobody: the worker is opened as root again, and drops again.
			s := l.startWith(t, "ours", "export "+plugin.LimitVariable+"=2s", l.serverArgs("--plugin", probe(t), "note="+l.file("note"), "on=5", "5="+how, "only=mallory",
				"--user", "nobody", "--persist-key", "--persist-tun", "--tmp-dir", "/tmp"))
			s.WaitLine(t, up, upLimit)
			login := func(name, user string) []string {
				return l.clientArgs("--auth-user-pass", l.write(t, name, []byte(user+"\nsecret\n")), "--auth-retry", "none", "--nobind")
			}
			bystander := stock(t, l.client, login("bystander", "alice"))
			bystander.WaitLine(t, up, upLimit)
			count := 30
			if how == "hang" {
				count = 60
			}
			lost := lostMeanwhile(l.client, "10.8.0.1", count, "0.05")
			mallory := stock(t, l.client, append(login("mallory", "mallory"), "--cert", l.file("second.crt"), "--key", l.file("second.key"), "--dev", "tun1"))
			mallory.WaitLine(t, "AUTH_FAILED", 2*upLimit)
			_ = mallory.Wait(t, upLimit)
			s.WaitLine(t, line, upLimit)
			next := stock(t, l.client, append(login("next", "bob"), "--cert", l.file("second.crt"), "--key", l.file("second.key"), "--dev", "tun1"))
			next.WaitLine(t, up, upLimit)
			if out := <-lost; out != "" {
				t.Errorf("the bystander lost packets:\n%s", out)
			}
			s.Signal(t, syscall.SIGTERM)
			_ = s.Wait(t, upLimit)
			notes := fileText(l.file("note"))
			if got := strings.Count(notes, "== open"); got != 2 {
				t.Errorf("the plugin was opened %d times, want 2\n%s", got, notes)
			}
			for n, uid := range regexp.MustCompile(`(?m)^== event.* uid=(\d+)`).FindAllStringSubmatch(notes, -1) {
				if uid[1] != "65534" {
					t.Errorf("call %d as user %s, want nobody", n, uid[1])
				}
			}
			if strings.Count(notes, "== open ssl_api=0 version=2.6 uid=0") != 2 {
				t.Errorf("the plugin is not opened as root:\n%s", notes)
			}
		})
	}
}

// A plugin finds for each client what it keeps for it, and is told to drop it when the client is gone.
func TestPluginContexts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := ours(t, l.server, l.serverArgs("--proto", "tcp-server", "--plugin", probe(t), "note="+l.file("note"), "on=5,6,7"))
	s.WaitLine(t, up, upLimit)
	l.issue(t, "second", pki.Spec{Name: "client2"})
	var clients []*daemontest.Process
	for _, name := range []string{"client", "second"} {
		c := stock(t, l.client, l.clientArgs("--auth-user-pass", l.login(t, "alice", "secret"), "--proto", "tcp-client", "--nobind", "--dev", "tun"+name,
			"--dev-type", "tun", "--cert", l.file(name+".crt"), "--key", l.file(name+".key")))
		c.WaitLine(t, up, upLimit)
		clients = append(clients, c)
	}
	for _, c := range clients {
		terminate(t, c)
	}
	eventually(t, upLimit, func() string {
		if notes := fileText(l.file("note")); strings.Count(notes, "== destructor") < 2 {
			return "no destructors:\n" + notes
		}
		return ""
	})
	s.Signal(t, syscall.SIGTERM)
	_ = s.Wait(t, upLimit)
	var got []string
	for line := range strings.SplitSeq(fileText(l.file("note")), "\n") {
		if m := regexp.MustCompile(`^== (event \d+ context=\d+ call=\d+|(con|de)structor.*)`).FindStringSubmatch(line); m != nil {
			got = append(got, m[1])
		}
	}
	var want []string
	for n := 1; n <= 2; n++ {
		want = append(want, fmt.Sprintf("constructor %d", n), fmt.Sprintf("event 5 context=%d call=1", n), fmt.Sprintf("event 6 context=%d call=2", n),
			fmt.Sprintf("event 7 context=%d call=3", n), fmt.Sprintf("destructor %d calls=3", n))
	}
	slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(contextOf(a), contextOf(b)) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contexts (-want +got):\n%s", diff)
	}
}

// contextOf is the number of the context in a note.
func contextOf(note string) string {
	return regexp.MustCompile(`structor (\d+)|context=(\d+)`).ReplaceAllString(regexp.MustCompile(`structor \d+|context=\d+`).FindString(note), "$1$2")
}

// What keeps a plugin from starting ends the daemon with an error that says what to do.
func TestPluginThatCannotStart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, arg, want string }{
		"missing":    {"nowhere.so", "", "PLUGIN_INIT: could not load plugin shared object nowhere.so: "},
		"no plugin":  {"libc.so.6", "", "PLUGIN_INIT: could not load plugin shared object libc.so.6: "},
		"open fails": {"", "open=fail", "PLUGIN_INIT: plugin initialization function failed: "},
		"open dies":  {"", "open=crash", "it was ended by signal 6"},
		"no helper":  {"", "", "plugins need the helper program moongate-plugin, which is not installed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			file := probe(t)
			if tt.file != "" {
				file = tt.file
			}
			text := ""
			if name == "no helper" { // a copy of the program in a folder without one
				bare := l.file("openvpn")
				if out, err := exec.Command("cp", program(t), bare).CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				text = "unset " + plugin.HelperVariable + "; mkdir -p /usr/lib/moongate && mount -t tmpfs none /usr/lib/moongate; mount --bind " + bare + " " + program(t) + "; mount --bind /dev/null " + filepath.Join(filepath.Dir(program(t)), "moongate-plugin")
			}
			s := l.startWith(t, "ours", text, l.serverArgs("--plugin", file, "note="+l.file("note"), tt.arg))
			s.WaitLine(t, tt.want, upLimit)
			s.WaitLine(t, "Exiting due to fatal error", upLimit)
			if code := s.Wait(t, upLimit); code != 1 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// A client's plugins hear of the tunnel and may refuse the server's certificate.
func TestPluginAtClient(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"stock", "ours"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			probe(t)
			l.stockServer(t)
			run := func(extra ...string) *daemontest.Process {
				return programs[who](t, l.client, l.clientArgs(append([]string{"--plugin", probe(t), "note=" + l.file("note")}, extra...)...))
			}
			c := run("on=0,1,2,3,4,12")
			c.WaitLine(t, up, upLimit)
			terminate(t, c)
			var got []string
			for line := range strings.SplitSeq(fileText(l.file("note")), "\n") {
				if m := regexp.MustCompile(`^== event (\d+)`).FindStringSubmatch(line); m != nil {
					got = append(got, m[1])
				}
			}
			if diff := cmp.Diff(strings.Fields("4 4 3 0 2 12 1"), got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			c = run("on=0,1,2,3,4,12", "4=fail")
			c.WaitLine(t, "VERIFY PLUGIN ERROR: depth=1, CN=Lab CA", upLimit)
			for range 5 { // stock forgets a signal that comes while it starts again by itself
				if c.Signal(t, syscall.SIGTERM); who != "stock" || c.Ended(2*time.Second) {
					break
				}
			}
			_ = c.Wait(t, upLimit)
		})
	}
}
