//go:build linux

package generated

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// binary is our daemon as it is released, without cgo: many of the set-ups give up their rights.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mg-generated-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "openvpn")
	return m.Run()
}

// build makes binary, once.
func build(t *testing.T) {
	t.Helper()
	daemontest.RequireRoot(t)
	daemontest.RequireOpenVPN(t)
	if _, err := os.Stat(binary); err == nil {
		return
	}
	if err := daemontest.BuildProgram(binary); err != nil {
		t.Fatal(err)
	}
}

// setup is one generator's case.json.
type setup struct {
	name      string
	Gateway   string              `json:"gw"`
	Reload    string              `json:"reload"` // crl, restart, hup, mgmtkill, mgmtsig, none
	ServerArg []string            `json:"sargs"`
	ClientArg []string            `json:"cargs"`
	Static    any                 `json:"static_ccd"` // 1 or the address of the client's file
	Reconnect int                 `json:"reconnect"`  // the client comes back by itself after the reload
	NoCRL     int                 `json:"nocrl"`
	CCD       []string            `json:"ccd"`     // the client's file, where it says more than an address
	Refused   string              `json:"refused"` // the end that does not start with stock either: server, client
	Asks      int                 `json:"asks"`    // it ends because nobody answers, and not by a mistake
	Jail      int                 `json:"jail"`
	Settle    int                 `json:"settle"` // seconds that scripts may come after the tunnel, with route-delay
	Seats     map[string]seat     `json:"seats"`  // who holds the management port of an end: server, client
	Before    map[string][]string `json:"before"` // commands on an end's host before its daemon starts
}

// setups reads the cases, all of them or those of the names.
func setups(t *testing.T, names ...string) []*setup {
	t.Helper()
	paths, err := filepath.Glob("testdata/*/case.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var list []*setup
	for _, path := range paths {
		s := &setup{name: filepath.Base(filepath.Dir(path))}
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, s); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		list = append(list, s)
	}
	return list
}

// authority is the throw-away PKI of one generator, the same in all pairings, so that serial numbers and digests are too.
type authority struct {
	client  *pki.Leaf
	files   map[string][]byte // by name below pki
	revoked []byte            // the list with the client on it
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{files: make(map[string][]byte)}
	ca, err := pki.NewCA("Generated CA")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Issue(pki.Spec{Name: "server", Server: true})
	if err != nil {
		t.Fatal(err)
	}
	if a.client, err = ca.Issue(pki.Spec{Name: "client"}); err != nil {
		t.Fatal(err)
	}
	crl, err := ca.CRL(time.Now().Add(24 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	dh, err := os.ReadFile("testdata/dh.pem")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"ca.crt": ca.PEM, "server.crt": server.CertPEM, "server.key": server.KeyPEM, "client.crt": a.client.CertPEM, "client.key": a.client.KeyPEM,
		"crl.pem": crl, "crl0.pem": crl, "dh.pem": dh, "ta.key": pki.StaticKey(), "tc.key": pki.StaticKey(), "secret.key": pki.StaticKey(), "up.txt": []byte("alice\nsecret\n"),
	} {
		a.files[name] = content
	}
	for name, leaf := range map[string]*pki.Leaf{"server.fp": server, "client.fp": a.client} {
		a.files[name] = []byte(fingerprint(leaf.Cert.Raw))
	}
	// Names with blanks, a key with a passphrase, a secret for tokens.
	a.files["my ca.crt"], a.files["client of mine.crt"], a.files["client of mine.key"] = ca.PEM, a.client.CertPEM, a.client.KeyPEM
	a.files["pass.txt"] = []byte("open sesame\n")
	if a.files["client.enc.key"], err = a.client.EncryptedKey("open sesame"); err != nil {
		t.Fatal(err)
	}
	ca.Revoke(a.client)
	if a.revoked, err = ca.CRL(time.Now().Add(24 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	v2s, v2c, token := filepath.Join(dir, "v2s"), filepath.Join(dir, "v2c"), filepath.Join(dir, "token")
	for _, args := range [][]string{{"--genkey", "tls-crypt-v2-server", v2s}, {"--tls-crypt-v2", v2s, "--genkey", "tls-crypt-v2-client", v2c}, {"--genkey", "auth-token", token}} {
		if out, err := exec.Command(daemontest.RequireOpenVPN(t), args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	bundle := func(name string, leaf *pki.Leaf) string {
		path := filepath.Join(dir, name)
		for file, content := range map[string][]byte{"crt": leaf.CertPEM, "key": leaf.KeyPEM, "ca": ca.PEM} {
			if err := os.WriteFile(path+"."+file, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("openssl", "pkcs12", "-export", "-in", path+".crt", "-inkey", path+".key", "-certfile", path+".ca", "-passout", "pass:", "-out", path)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return path
	}
	for name, path := range map[string]string{
		"v2s.key": v2s, "v2c.key": v2c, "token.key": token, "server.p12": bundle("server.p12", server), "client.p12": bundle("client.p12", a.client),
	} {
		if a.files[name], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// fingerprint writes a certificate's digest as peer-fingerprint takes it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(strings.ToUpper(fmt.Sprintf("% x", sum[:])), " ", ":")
}

// hash is the name of the authority in a capath folder.
func (a *authority) hash(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.Command("openssl", "x509", "-noout", "-hash", "-in", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)) + ".0"
}

// scripts stand for those of the generators: each notes its environment, in a file named by its words.
const evScript = `#!/bin/sh
name=$(basename $0); for word in "$@"; do case $word in [a-z-]*) name=$name-$word; break;; esac; done
env | sort >@D@/env/.$$ && mv @D@/env/.$$ @D@/env/$name
case "$*" in *--defer*) printf 1 >"$auth_control_file"; exit 2;; esac
exit 0
`

// end is one end of a tunnel: its host, its folder and its command line.
type end struct {
	host *daemontest.Namespace
	dir  string
	argv []string
	jail bool
	proc *daemontest.Process // in front; daemons go to the background
}

// prepare writes the folder of an end and returns the end.
func (s *setup) prepare(t *testing.T, a *authority, host *daemontest.Namespace, program, config string, args []string) *end {
	t.Helper()
	dir, err := os.MkdirTemp("", "mg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	e := &end{host: host, dir: dir, jail: s.Jail != 0 && config == "server.conf"}
	for _, d := range []string{"", "pki", "pki/capath", "ccd", "env", "jail", "jail/ccd", "jail/tmp"} {
		mode := os.FileMode(0o755)
		if d == "env" || d == "jail/tmp" {
			mode = 0o777
		}
		path := filepath.Join(dir, d)
		if err := os.MkdirAll(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	for name, content := range a.files {
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".key") || strings.HasSuffix(name, ".p12") || name == "up.txt" || name == "pass.txt" {
			mode = 0o600
		}
		e.write(t, "pki/"+name, content, mode)
	}
	e.write(t, "pki/capath/"+a.hash(t, filepath.Join(dir, "pki/ca.crt")), a.files["ca.crt"], 0o644)
	e.revocations(t, a.files["crl.pem"])
	scripts := map[string]string{"ev.sh": evScript, "auth.sh": evScript, "linkup": evScript, "linkdown": evScript}
	own, err := filepath.Glob(filepath.Join("testdata", s.name, "*.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range own {
		scripts[filepath.Base(path)] = readFile(t, path)
	}
	for name, text := range scripts {
		e.write(t, name, []byte(strings.ReplaceAll(text, "@D@", dir)), 0o755)
	}
	if s.Static != nil {
		address, given := s.Static.(string)
		if !given {
			address = s.Gateway[:strings.LastIndexByte(s.Gateway, '.')] + ".77"
		}
		e.write(t, "ccd/client", []byte("ifconfig-push "+address+" 255.255.255.0\n"), 0o644)
		e.write(t, "ccd/alice", []byte("ifconfig-push "+address+" 255.255.255.0\n"), 0o644)
	}
	if s.CCD != nil {
		e.write(t, "ccd/client", []byte(strings.Join(s.CCD, "\n")+"\n"), 0o644)
	}
	e.write(t, config, []byte(fill(t, readFile(t, filepath.Join("testdata", s.name, config)), a, dir)), 0o644)
	e.argv = []string{program}
	for _, arg := range args {
		e.argv = append(e.argv, fill(t, arg, a, dir))
	}
	return e
}

var fileMark = regexp.MustCompile(`@F:([^@]+|@CL@[^@]*)@`)

// fill puts values in the place of the marks (testdata/README.md).
func fill(t *testing.T, text string, a *authority, dir string) string {
	t.Helper()
	text = strings.NewReplacer("@R@", "10.99.0.1", "@P@", "1194", "@CIP@", "10.99.0.2", "@D@", dir, "@CL@", "client").Replace(text)
	return fileMark.ReplaceAllStringFunc(text, func(mark string) string {
		content, ok := a.files[mark[len("@F:"):len(mark)-1]]
		if !ok {
			t.Fatalf("no file for %s", mark)
		}
		if strings.HasSuffix(mark, ".p12@") {
			return lines64(base64.StdEncoding.EncodeToString(content))
		}
		return strings.TrimSuffix(string(content), "\n")
	})
}

// lines64 breaks base64 as openssl does: stock reads no longer lines.
func lines64(text string) string {
	var b strings.Builder
	for ; len(text) > 64; text = text[64:] {
		b.WriteString(text[:64] + "\n")
	}
	return b.String() + text
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (e *end) write(t *testing.T, name string, content []byte, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(e.dir, name)
	if err := os.WriteFile(path+".new", content, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path+".new", mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// revocations puts a list where the server looks for it.
func (e *end) revocations(t *testing.T, list []byte) {
	t.Helper()
	e.write(t, "crl.pem", list, 0o644)
	e.write(t, "jail/crl.pem", list, 0o644)
}

func (e *end) start(t *testing.T) {
	t.Helper()
	e.proc = e.host.Start(t, "env", append([]string{"-C", e.dir}, e.argv...)...)
}

// signal sends a signal to the daemon, wherever it went: to what runs on the host and is not the child of another there, as scripts are.
func (e *end) signal(sig syscall.Signal) {
	pids := e.host.PIDs()
	for _, pid := range pids {
		if !slices.Contains(pids, parent(pid)) {
			_ = syscall.Kill(pid, sig)
		}
	}
}

// parent is the process that a process is a child of, 0 when it is gone.
func parent(pid int) (ppid int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if i := bytes.LastIndexByte(b, ')'); i >= 0 {
		_, _ = fmt.Sscanf(string(b[i+1:]), " %1s %d", new(string), &ppid)
	}
	return ppid
}

// serves waits for a server's port: stock loses a signal that comes earlier.
func (e *end) serves(t *testing.T) {
	t.Helper()
	await(t, upLimit, "port of the server", func() bool {
		out, _ := e.host.TryRun("ss", "-Hanut", "sport", "=", "1194")
		return strings.TrimSpace(out) != ""
	})
}

// stop ends the daemon as a service manager does, and waits for its end.
func (e *end) stop(t *testing.T) {
	t.Helper()
	e.signal(syscall.SIGTERM)
	await(t, 15*time.Second, "the end of "+strings.Join(e.argv, " "), func() bool {
		return len(e.host.PIDs()) == 0
	})
}

// await polls until done, and fails the test after the time.
func await(t *testing.T, limit time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !done() {
		if time.Since(began) > limit {
			t.Fatalf("no %s within %v", what, limit)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(began)
}
