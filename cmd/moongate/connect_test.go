//go:build linux

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// vpn is a namespace with a server whose port decides about logins, and a folder of profiles for it.
type vpn struct {
	t    *testing.T
	ns   *daemontest.Namespace
	dir  string
	page *httptest.Server // where people log in: it remembers the sessions that did

	mu   sync.Mutex
	done map[string]func() // by session: lets its client in
}

// newVPN starts the servers, each at a port of its own: good, and one with a certificate that has expired.
func newVPN(t *testing.T, program ...string) *vpn {
	dir, err := os.MkdirTemp("", "mgc") // the path of t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := &vpn{t: t, ns: daemontest.NewNamespace(t), dir: dir, done: make(map[string]func())}
	v.page = httptest.NewServer(http.HandlerFunc(v.serve))
	t.Cleanup(v.page.Close)
	ca, err := pki.NewCA("office")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"ca.crt": ca.PEM}
	past := time.Now().Add(-24 * time.Hour)
	for _, spec := range []pki.Spec{
		{Name: "server", Server: true}, {Name: "oldserver", Server: true, NotBefore: past.Add(-time.Hour), NotAfter: past},
		{Name: "laptop"}, {Name: "old", NotBefore: past.Add(-time.Hour), NotAfter: past},
	} {
		c, err := ca.Issue(spec)
		if err != nil {
			t.Fatal(err)
		}
		files[spec.Name+".crt"], files[spec.Name+".key"] = c.CertPEM, c.KeyPEM
	}
	if err := pki.WriteFiles(dir, files); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"server", "oldserver"} {
		sock := filepath.Join(dir, name+".port")
		v.start(append(program, "--dev", "tun", "--server", fmt.Sprintf("10.79.%d.0", i), "255.255.255.0", "--proto", "udp4", "--local", "127.0.0.1", "--port", fmt.Sprint(1194+i),
			"--topology", "subnet", "--dh", "none", "--ca", "ca.crt", "--cert", name+".crt", "--key", name+".key", "--verb", "3", "--keepalive", "10", "60",
			"--management", sock, "unix", "--management-client-auth"))
		var c *client.Client
		eventually(t, "the server's port", func() bool { c, err = client.Dial(t.Context(), sock, client.Options{}); return err == nil })
		t.Cleanup(func() { c.Close() })
		sub := c.Subscribe(mgmt.KindClient)
		go v.decide(c, sub)
	}
	return v
}

func (v *vpn) start(args []string) {
	cmd := v.ns.Command(context.WithoutCancel(v.t.Context()), args[0], args[1:]...)
	cmd.Dir = v.dir
	cmd.Env = append(os.Environ(), "MOONGATE_TEST_MAIN=1")
	log := &logBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if v.t.Failed() {
			v.t.Logf("%v:\n%s", args, log)
		}
	})
}

// serve is the login page: the address of a session logs it in.
func (v *vpn) serve(_ http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if admit := v.done[strings.TrimPrefix(r.URL.Path, "/login/")]; admit != nil {
		admit()
	}
}

// decide answers the server's questions about logins by the user name.
func (v *vpn) decide(c *client.Client, sub *client.Subscription) {
	ctx := context.Background()
	response := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for {
		n, err := sub.Next(ctx)
		if err != nil {
			return
		}
		f := strings.Split(n.Text, ",")
		if f[0] != "CONNECT" && f[0] != "CR_RESPONSE" {
			continue
		}
		var cid, kid uint64
		fmt.Sscan(f[1], &cid)
		fmt.Sscan(f[2], &kid)
		env := make(map[string]string)
		for _, e := range n.Env {
			k, v, _ := strings.Cut(e, "=")
			env[k] = v
		}
		admit := func() { _ = c.ClientAuth(ctx, cid, kid, nil) }
		deny := func(reason string) { _ = c.ClientDeny(ctx, cid, kid, "test", reason) }
		pending := func(text string) {
			_, _ = c.Do(ctx, "client-pending-auth", f[1], f[2], text, "30")
		}
		password := env["password"]
		switch user := env["username"]; {
		case f[0] == "CR_RESPONSE" && f[3] == response("135790"):
			admit()
		case f[0] == "CR_RESPONSE":
			deny("wrong code")
		case user == "web" && strings.Contains(env["IV_SSO"], "webauth"):
			session := fmt.Sprintf("s%d", cid)
			v.mu.Lock()
			v.done[session] = admit
			v.mu.Unlock()
			pending("WEB_AUTH::" + v.page.URL + "/login/" + session)
		case user == "code":
			pending("CR_TEXT:E,R:Code from your phone")
		case user == "dynamic" && password == "CRV1::st4te::246810":
			admit()
		case user == "dynamic":
			deny("CRV1:R,E:st4te:" + response("dynamic") + ":Code from your token")
		case user == "static" && password == mgmt.StaticResponse("moonlight", "424242"), user == "joe" && password == "moonlight":
			admit()
		default:
			deny("")
		}
	}
}

// profile writes a profile.
func (v *vpn) profile(name, cert string, port int, more ...string) string {
	path := filepath.Join(v.dir, name+".ovpn")
	text := fmt.Sprintf("client\ndev null\nproto udp4\nremote 127.0.0.1 %d\nnobind\nca ca.crt\ncert %s.crt\nkey %[2]s.key\nremote-cert-tls server\nauth-user-pass\nifconfig-noexec\nroute-noexec\n%s\n",
		port, cert, strings.Join(more, "\n"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
	return path
}

// command is moongate in the namespace.
func (v *vpn) command(args ...string) *exec.Cmd {
	cmd := v.ns.Command(context.WithoutCancel(v.t.Context()), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "MOONGATE_TEST_MAIN=1", "MOONGATE_RUN_DIR="+filepath.Join(v.dir, "run"), "HOME="+v.dir, "DISPLAY=", "WAYLAND_DISPLAY=", "MOONGATE_ADDR=", "MOONGATE_NO_ASK=")
	return cmd
}

// step waits for a text on the screen and then types.
type step struct{ shows, types string }

// A person comes into the tunnel, or is told what to do.
func TestConnect(t *testing.T) {
	if testing.Short() {
		t.Skip("makes network namespaces")
	}
	servers := map[string][]string{"ours": {os.Args[0], "daemon"}}
	if stockBinary != "" {
		servers["stock"] = []string{stockBinary}
	}
	const up = "connected"
	login := func(user, password string) []step {
		return []step{{"user name", user + "\r"}, {"password: ", password + "\r"}}
	}
	cases := []struct {
		name  string
		cert  string
		port  int
		more  []string
		flags []string
		steps []step
		code  int // without "connected": of the end
		want  string
	}{
		{name: "password", steps: append(login("joe", "moonlight"), step{up, ""})},
		{name: "wrong-then-right", steps: append(append(login("joe", "sunlight"), step{"refuses the user name or the password", ""}, step{"user name [joe]", "\r"}, step{"password: ", "moonlight\r"}), step{up, ""})},
		{name: "wrong", steps: append(append(login("joe", "a"), step{"user name [joe]", "\r"}, step{"password: ", "b\r"}), step{"user name [joe]", "\r"}, step{"password: ", "c\r"}), code: 4, want: "ask the operator"},
		{name: "static", more: []string{`static-challenge "Your PIN" 1`}, steps: append(login("static", "moonlight"), step{"Your PIN", "424242\r"}, step{up, ""})},
		{name: "dynamic", steps: append(login("dynamic", "moonlight"), step{"Code from your token", "246810\r"}, step{up, ""})},
		{name: "code", steps: append(login("code", "x"), step{"Code from your phone", "135790\r"}, step{up, ""})},
		{name: "web", steps: append(login("web", "x"), step{"log in at this page", "WEB"}, step{up, ""})},
		{name: "dead", port: 9, flags: []string{"--timeout", "3s"}, steps: login("joe", "moonlight"), code: 5, want: "server"},
		{name: "expired", cert: "old", steps: login("joe", "moonlight"), code: 4, want: "certificate of this profile"},
		{name: "expired-server", port: 1195, steps: login("joe", "moonlight"), code: 4, want: "has expired: tell the operator"},
		{name: "interrupted", steps: []step{{"user name", "\x03"}}, code: 5, want: "interrupted"},
		{name: "mistake", more: []string{"remmote x"}, code: 2, want: "remote"},
	}
	for name, program := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVPN(t, program...)
			for _, tt := range cases {
				t.Run(tt.name, func(t *testing.T) {
					cert, port := tt.cert, tt.port
					if cert == "" {
						cert = "laptop"
					}
					if port == 0 {
						port = 1194
					}
					file := v.profile(tt.name, cert, port, tt.more...)
					tty, out, wait := onTerminal(t, v.command(append([]string{"connect", file}, tt.flags...)...))
					at := 0
					connected := false
					for _, s := range tt.steps {
						eventually(t, s.shows, func() bool { return strings.Contains(out.String()[at:], s.shows) })
						at += strings.Index(out.String()[at:], s.shows) + len(s.shows)
						if s.types == "WEB" {
							var page string
							eventually(t, "the address", func() bool {
								page = regexp.MustCompile(`http://\S+/login/s\d+`).FindString(out.String())
								return page != "" && strings.Contains(out.String(), "▄")
							})
							r, err := http.Get(page)
							if err != nil {
								t.Fatal(err)
							}
							r.Body.Close()
							continue
						}
						tty.WriteString(s.types)
						connected = connected || s.shows == up
					}
					if connected {
						if text, err := v.command("-a", tt.name, "state").CombinedOutput(); err != nil || !strings.Contains(string(text), "CONNECTED") {
							t.Errorf("state: %v\n%s", err, text)
						}
						tty.WriteString("\x03")
					}
					if code := wait(); code != tt.code {
						t.Errorf("exit code %d, want %d\n%s", code, tt.code, out)
					}
					if !strings.Contains(out.String(), tt.want) || connected && !strings.Contains(out.String(), "disconnected") {
						t.Errorf("no %q, or the end is not told:\n%s", tt.want, out)
					}
					for _, secret := range []string{"moonlight", "sunlight"} {
						if strings.Contains(out.String(), secret) {
							t.Errorf("a password was shown:\n%s", out)
						}
					}
					if _, err := os.Stat(filepath.Join(v.dir, "run", tt.name+".sock")); err == nil {
						t.Error("the socket is still there")
					}
				})
			}
			t.Run("background", func(t *testing.T) {
				file := v.profile("bg", "laptop", 1194)
				connect := func(steps ...step) (int, string) {
					tty, out, wait := onTerminal(t, v.command("connect", file, "--background"))
					for _, s := range steps {
						eventually(t, s.shows, func() bool { return strings.Contains(out.String(), s.shows) })
						tty.WriteString(s.types)
					}
					return wait(), out.String()
				}
				if code, out := connect(login("joe", "moonlight")...); code != 0 || !strings.Contains(out, "moongate disconnect bg ends it") {
					t.Fatalf("exit code %d\n%s", code, out)
				}
				if code, out := connect(); code != 6 || !strings.Contains(out, "bg is connected already") {
					t.Errorf("a second time: exit code %d\n%s", code, out)
				}
				if out, err := v.command("status", "-a", "bg").CombinedOutput(); err != nil || !strings.Contains(string(out), "CONNECTED") {
					t.Errorf("status: %v\n%s", err, out)
				}
				if out, err := v.command("disconnect", "bg").CombinedOutput(); err != nil {
					t.Errorf("disconnect: %v\n%s", err, out)
				}
				if err := v.command("disconnect", "bg").Run(); err == nil {
					t.Error("a second disconnect works")
				}
				if out, _ := v.command("disconnect", filepath.Join(v.dir, "server.port")).CombinedOutput(); name == "ours" && !strings.Contains(string(out), "is a server") {
					t.Errorf("disconnect of a server: %s", out)
				}
			})
		})
	}
}
