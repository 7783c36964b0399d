//go:build linux

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// vpn is a namespace with servers whose ports decide about logins, a proxy, and a folder of profiles for them.
type vpn struct {
	t    *testing.T
	ns   *daemontest.Namespace
	ours bool // the servers: their ports serve several programs
	dir  string
	page *httptest.Server // where people log in: it remembers the sessions that did

	mu   sync.Mutex
	done map[string]func() // by session: lets its client in
}

// The ports of a vpn.
const (
	portUDP     = 1194
	portExpired = 1195 // of a server whose certificate has expired
	portTCP     = 1196
	portLost    = 1197 // of a server that a test starts and ends
	portSilent  = 1198 // UDP, of nobody who answers
	portProxy   = 8888 // HTTP, with a password
)

// newVPN starts the servers.
func newVPN(t *testing.T, program ...string) *vpn {
	v := &vpn{t: t, ours: program[0] == os.Args[0], ns: daemontest.NewNamespace(t), dir: shortDir(t), done: make(map[string]func())}
	v.page = v.serve(0, v.admit)
	v.serve(portProxy, v.proxy)
	v.ns.Do(t, func() error {
		silent, err := net.ListenPacket("udp4", fmt.Sprint("127.0.0.1:", portSilent))
		if err == nil {
			t.Cleanup(func() { silent.Close() })
		}
		return err
	})
	v.certificates()
	for i, s := range []struct {
		cert, proto string
		port        int
	}{{"server", "udp4", portUDP}, {"oldserver", "udp4", portExpired}, {"server", "tcp4-server", portTCP}} {
		sock := filepath.Join(v.dir, fmt.Sprint(s.port, ".port"))
		v.start(v.server(program, i, s.cert, s.proto, s.port, "--management", sock, "unix", "--management-client-auth"))
		var c *client.Client
		eventually(t, "the server's port", func() (ok bool) {
			var err error
			c, err = client.Dial(t.Context(), sock, client.Options{})
			return err == nil
		})
		t.Cleanup(func() { c.Close() })
		sub := c.Subscribe(mgmt.KindClient)
		go v.decide(c, sub)
	}
	return v
}

// server is the command line of a server.
func (v *vpn) server(program []string, net int, cert, proto string, port int, more ...string) []string {
	return append(append(program[:len(program):len(program)], "--dev", "tun", "--server", fmt.Sprintf("10.79.%d.0", net), "255.255.255.0", "--proto", proto, "--local", "127.0.0.1",
		"--port", fmt.Sprint(port), "--topology", "subnet", "--dh", "none", "--ca", "ca.crt", "--cert", cert+".crt", "--key", cert+".key", "--verb", "3", "--duplicate-cn"), more...)
}

// certificates writes those of the office, and of a stranger who is of elsewhere.
func (v *vpn) certificates() {
	files := make(map[string][]byte)
	past := time.Now().Add(-24 * time.Hour)
	for name, leaves := range map[string][]pki.Spec{
		"ca": {
			{Name: "server", Server: true}, {Name: "oldserver", Server: true, NotBefore: past.Add(-time.Hour), NotAfter: past},
			{Name: "laptop"}, {Name: "old", NotBefore: past.Add(-time.Hour), NotAfter: past},
		},
		"elsewhere": {{Name: "stranger"}},
	} {
		ca, err := pki.NewCA(name)
		if err != nil {
			v.t.Fatal(err)
		}
		files[name+".crt"] = ca.PEM
		for _, spec := range leaves {
			c, err := ca.Issue(spec)
			if err != nil {
				v.t.Fatal(err)
			}
			files[spec.Name+".crt"], files[spec.Name+".key"] = c.CertPEM, c.KeyPEM
			if spec.Name == "laptop" {
				if files["locked.key"], err = c.EncryptedKey("moonlight"); err != nil {
					v.t.Fatal(err)
				}
			}
		}
	}
	err := pki.WriteFiles(v.dir, files)
	if err == nil {
		_, err = v.command("genkey", "tls-crypt", filepath.Join(v.dir, "crypt.key")).Output()
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

// start starts a program in the namespace. It is ended by stop, or with the test.
func (v *vpn) start(args []string) (stop func()) {
	cmd := v.ns.Command(context.WithoutCancel(v.t.Context()), args[0], args[1:]...)
	cmd.Dir = v.dir
	cmd.Env = append(os.Environ(), "MOONGATE_TEST_MAIN=1")
	log := &logBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	v.t.Cleanup(func() {
		stop()
		if v.t.Failed() {
			v.t.Logf("%v:\n%s", args, log)
		}
	})
	return stop
}

// serve starts a web server in the namespace. Port 0 is any.
func (v *vpn) serve(port int, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	v.ns.Do(v.t, func() (err error) {
		s.Listener, err = net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		return err
	})
	s.Start()
	v.t.Cleanup(s.Close)
	return s
}

// admit is the login page: the address of a session logs it in.
func (v *vpn) admit(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if admit := v.done[strings.TrimPrefix(r.URL.Path, "/login/")]; admit != nil {
		admit()
		fmt.Fprintln(w, "<p>Welcome</p>")
	}
}

// get opens a page from inside the namespace.
func (v *vpn) get(page string) error {
	out, err := v.ns.TryRun("curl", "-sSf", page)
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// proxy is an HTTP proxy for the user proxyuser.
func (v *vpn) proxy(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("proxyuser:moonlight")) {
		w.Header().Set("Proxy-Authenticate", `Basic realm="way out"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	var far net.Conn
	var err error
	v.ns.Do(v.t, func() error { far, err = net.Dial("tcp4", r.Host); return nil })
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, rest, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		defer far.Close()
		io.Copy(far, rest)
	}()
	io.Copy(near, far)
}

// decide answers the server's questions about logins by the user name.
func (v *vpn) decide(c *client.Client, sub *client.Subscription) {
	ctx := context.Background()
	later := make(map[string]bool)
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
		case user == "web" && strings.Contains(env["IV_SSO"], "webauth"), user == "url" && strings.Contains(env["IV_SSO"], "openurl"):
			session := fmt.Sprintf("s%d", cid)
			v.mu.Lock()
			v.done[session] = admit
			v.mu.Unlock()
			pending(map[string]string{"web": "WEB_AUTH::", "url": "OPEN_URL:"}[user] + v.page.URL + "/login/" + session)
		case user == "evil":
			pending("WEB_AUTH::file:///etc/passwd")
		case user == "code":
			pending("CR_TEXT:E,R:Code from your phone")
		case user == "dynamic" && password == "CRV1::st4te::246810":
			admit()
		case user == "dynamic":
			deny("CRV1:R,E:st4te:" + response("dynamic") + ":Code from your token")
		case user == "later" && !later[user]:
			later[user] = true
			deny("TEMP[backoff 1]:the directory is down")
		case user == "later", user == "concat" && password == "moonlight424242", user == "static" && password == mgmt.StaticResponse("moonlight", "424242"), user == "joe" && password == "moonlight":
			admit()
		case user == "locked":
			deny("this account is locked")
		default:
			deny("")
		}
	}
}

// profile writes a profile. A line of more stands for those of its option that every profile has.
func (v *vpn) profile(name string, more ...string) string {
	path := filepath.Join(v.dir, name+".ovpn")
	text := "client\nnobind\nremote-cert-tls server\nifconfig-noexec\nroute-noexec\n" + strings.Join(more, "\n") + "\n"
	for _, l := range []string{"dev null", "proto udp4", fmt.Sprint("remote 127.0.0.1 ", portUDP), "ca ca.crt", "cert laptop.crt", "key laptop.key", "auth-user-pass"} {
		if option, _, _ := strings.Cut(l, " "); !strings.Contains("\n"+strings.Join(more, "\n")+"\n", "\n"+option+" ") {
			text += l + "\n"
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
	return path
}

// command is moongate in the namespace.
func (v *vpn) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	if v.ns != nil {
		cmd = v.ns.Command(context.WithoutCancel(v.t.Context()), os.Args[0], args...)
	}
	cmd.Env = append(os.Environ(), "MOONGATE_TEST_MAIN=1", "MOONGATE_RUN_DIR="+filepath.Join(v.dir, "run"), "HOME="+v.dir, "DISPLAY=", "WAYLAND_DISPLAY=", "MOONGATE_ADDR=", "MOONGATE_NO_ASK=", "SUDO_UID=", "SUDO_GID=")
	return cmd
}

// to makes cmd run as a user that is not root, who may read what the test wrote and has a folder of sockets.
func (v *vpn) to(cmd *exec.Cmd, uid uint32) {
	program := filepath.Join(v.dir, "moongate") // the test's own folder is root's
	run := filepath.Join(v.dir, "userrun")
	readable := []string{"a+r"}
	for _, ending := range []string{".crt", ".key", ".ovpn"} { // not all there is: sockets come and go
		found, _ := filepath.Glob(filepath.Join(v.dir, "*"+ending))
		readable = append(readable, found...)
	}
	if out, err := exec.Command("cp", os.Args[0], program).CombinedOutput(); err != nil {
		v.t.Fatalf("%v\n%s", err, out)
	}
	for _, f := range []func() error{
		func() error { return os.Mkdir(run, 0o755) },
		func() error { return os.Chown(run, int(uid), -1) },
		func() error { return os.Chmod(v.dir, 0o755) },
		func() error { return exec.Command("chmod", readable...).Run() },
	} {
		if err := f(); err != nil {
			v.t.Fatal(err)
		}
	}
	at := slices.Index(cmd.Args, os.Args[0])
	cmd.Args = append(append(cmd.Args[:at:at], "setpriv", "--reuid", fmt.Sprint(uid), "--regid", fmt.Sprint(uid), "--clear-groups", program), cmd.Args[at+1:]...)
	cmd.Env = append(cmd.Env, "MOONGATE_RUN_DIR="+run)
}

// gone waits for the end of the daemon of a name, and of its socket.
func (v *vpn) gone(t *testing.T, name string) {
	t.Helper()
	eventually(t, "the end of the daemon", func() bool {
		left, _ := filepath.Glob(filepath.Join(v.dir, "*run", name+".sock"))
		return len(left) == 0 && !running("--config", filepath.Join(v.dir, name)+".ovpn")
	})
}

// running reports whether a process has these words in its command line, in a row.
func running(words ...string) bool {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	return slices.ContainsFunc(all, func(path string) bool {
		line, _ := os.ReadFile(path)
		return strings.Contains(string(line), "\x00"+strings.Join(words, "\x00")+"\x00")
	})
}

// write writes a file that may be a program.
func (v *vpn) write(name, text string) {
	if err := os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o755); err != nil {
		v.t.Fatal(err)
	}
}

// shortDir is a folder for sockets: the path of t.TempDir can be too long for them.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "mgc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
