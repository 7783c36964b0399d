//go:build linux

package conformance

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// bases are the configurations that scenarios add to. The server is 10.99.0.1, clients are 10.99.0.2; real ports are fixed
// where a report shows them, each scenario has namespaces of its own.
var bases = map[string]string{
	"alone": `
		client
		dev null
		nobind
		remote 127.0.0.1 1
		ca ca.crt
		cert client.crt
		connect-retry 1 2
		verb 3`,
	"client": `
		client
		dev tun
		nobind
		ca ca.crt
		cert client.crt
		connect-retry 1 2
		verb 3`,
	"server": `
		server 10.8.0.0 255.255.255.0
		topology subnet
		dev tun
		port 1194
		ca ca.crt
		cert server.crt
		key server.key
		dh none
		keepalive 10 60
		verb 3`,
}

// material is one authority for all scenarios and both daemons, so that digests and serials compare too.
var material = sync.OnceValues(func() (map[string][]byte, error) {
	ca, err := pki.NewCA("Test CA")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"ca.crt": ca.PEM}
	for _, one := range []struct {
		name string
		spec pki.Spec
	}{ // in this order: serial numbers stand in scenarios
		{"server", pki.Spec{Name: "server", Server: true}},
		{"client", pki.Spec{Name: "client1"}},
		{"rsa", pki.Spec{Name: "client3", Key: pki.RSA}},
	} {
		name := one.name
		leaf, err := ca.Issue(one.spec)
		if err != nil {
			return nil, err
		}
		files[name+".crt"], files[name+".key"] = leaf.CertPEM, leaf.KeyPEM
		if name == "client" {
			if files["locked.key"], err = leaf.EncryptedKey("sesame"); err != nil {
				return nil, err
			}
		}
	}
	foreign, err := pki.NewCA("Foreign CA")
	if err != nil {
		return nil, err
	}
	leaf, err := foreign.Issue(pki.Spec{Name: "client9"})
	if err != nil {
		return nil, err
	}
	files["foreign-ca.crt"], files["foreign.crt"], files["foreign.key"] = foreign.PEM, leaf.CertPEM, leaf.KeyPEM
	return files, nil
})

// arena is where one daemon plays one scenario.
type arena struct {
	s       *scenario
	program []string // the daemon under test, without options
	stock   string   // the program of peers
	release string   // of stock: 2.6, 2.7
	dir     string
	address string // of the port, for a dial
	accept  net.Listener
	here    *daemontest.Namespace // of the daemon, nil for alone
	there   *daemontest.Namespace // of the peers
	procs   map[string]*process   // "daemon", "peer1", …
	mux     *muxed                // between the seats and the port, nil for none
}

// newArena makes the files and namespaces for a scenario. All that can stop a test happens here, on its goroutine.
func newArena(t *testing.T, s *scenario, program []string, stock string) *arena {
	t.Helper()
	// A short path: socket addresses have 107 bytes.
	dir, err := os.MkdirTemp("", "conf")
	if err != nil {
		t.Fatal(err)
	}
	a := &arena{s: s, program: program, stock: stock, release: releaseOf(t, stock), dir: dir, procs: make(map[string]*process)}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if s.daemon != "alone" {
		daemontest.RequireRoot(t)
		server, client := daemontest.NewPair(t)
		a.here, a.there = client, server
		if s.daemon == "server" {
			a.here, a.there = server, client
		}
	}
	t.Cleanup(func() { a.stop(t) })
	files, err := material()
	if err != nil {
		t.Fatal(err)
	}
	if err := pki.WriteFiles(dir, files); err != nil {
		t.Fatal(err)
	}
	for name, text := range s.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.writeConfigs(); err != nil {
		t.Fatal(err)
	}
	return a
}

// releases are those of programs that releaseOf has asked: each arena wants to know.
var releases sync.Map

// releaseOf is the release of a stock program.
func releaseOf(t *testing.T, stock string) string {
	t.Helper()
	if known, ok := releases.Load(stock); ok {
		return known.(string)
	}
	out, _ := exec.Command(stock, "--version").Output() // it exits with 1
	m := regexp.MustCompile(`^OpenVPN (2\.[67])\.`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("%s is neither 2.6 nor 2.7: %.60q", stock, out)
	}
	releases.Store(stock, string(m[1]))
	return string(m[1])
}

// writeConfigs completes daemon.conf and the peers' files.
func (a *arena) writeConfigs() error {
	port := filepath.Join(a.dir, "port")
	management := "management port unix"
	a.address = port
	switch a.s.listen {
	case "tcp", "tcp6":
		ip := map[string]string{"tcp": "127.0.0.1", "tcp6": "::1"}[a.s.listen]
		ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			return err
		}
		_, n, _ := net.SplitHostPort(ln.Addr().String())
		ln.Close()
		a.address, management = net.JoinHostPort(ip, n), "management "+ip+" "+n
	case "dial", "dial-tcp":
		network, at := "unix", port
		if a.s.listen == "dial-tcp" {
			network, at = "tcp", "127.0.0.1:0"
		}
		ln, err := net.Listen(network, at)
		if err != nil {
			return err
		}
		a.accept = ln
		if network == "tcp" {
			_, n, _ := net.SplitHostPort(ln.Addr().String())
			management = "management 127.0.0.1 " + n
		}
	}
	if a.s.password != "" {
		management += " password.txt"
		if err := os.WriteFile(filepath.Join(a.dir, "password.txt"), []byte(a.s.password+"\n"), 0o600); err != nil {
			return err
		}
	}
	if a.accept != nil {
		management += "\nmanagement-client"
	}
	if err := a.writeConfig("daemon.conf", a.s.daemon, management); err != nil {
		return err
	}
	for i, base := range a.s.peers {
		extra := fmt.Sprintf("management peer%d.sock unix", i+1)
		if base == "client" {
			extra += fmt.Sprintf("\nlport %d", 4001+i)
		}
		name := "peer.conf"
		if i > 0 {
			name = fmt.Sprintf("peer%d.conf", i+1)
		}
		if err := a.writeConfig(name, base, extra); err != nil {
			return err
		}
	}
	return nil
}

func (a *arena) writeConfig(name, base, extra string) error {
	own := a.s.files[name]
	var b strings.Builder
	for _, line := range strings.Split(bases[base], "\n") {
		line = strings.TrimSpace(line)
		// A scenario's own line replaces the base's where an option may not come twice or would add up.
		word, _, _ := strings.Cut(line, " ")
		if strings.HasPrefix(own, word+" ") || strings.Contains(own, "\n"+word+" ") ||
			word == "nobind" && strings.Contains(extra, "lport") ||
			word == "cert" && strings.Contains(own, "management-external-cert") {
			continue
		}
		b.WriteString(line + "\n")
	}
	if base == "client" && !strings.Contains("\n"+own, "\nremote ") {
		b.WriteString("remote 10.99.0.1 1194\n")
	}
	if base != "server" && !strings.Contains("\n"+own, "\nkey ") && !strings.Contains(own, "management-external-key") && !strings.Contains(own, "pkcs11") {
		b.WriteString("key client.key\n")
	}
	b.WriteString(extra + "\n" + own)
	return os.WriteFile(filepath.Join(a.dir, name), []byte(b.String()), 0o600)
}

// process is a running daemon.
type process struct {
	cmd  *exec.Cmd
	log  string // path
	done chan struct{}
}

// start runs the daemon or a peer.
func (a *arena) start(name string) error {
	ns, argv, conf := a.here, a.program, "daemon.conf"
	if n, ok := strings.CutPrefix(name, "peer"); ok {
		ns, argv, conf = a.there, []string{a.stock}, "peer.conf"
		if n != "1" {
			conf = "peer" + n + ".conf"
		}
	}
	argv = append(append([]string(nil), argv...), "--config", conf)
	cmd := exec.Command(argv[0], argv[1:]...)
	p := &process{cmd: cmd, log: filepath.Join(a.dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = a.dir, log, log
	start := cmd.Start
	if ns != nil {
		start = func() error { return ns.StartIn(cmd) }
	}
	if err := start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	a.procs[name] = p
	return nil
}

// wait waits for the end of a process and returns its status.
func (p *process) wait(limit time.Duration) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("%s still runs after %v", filepath.Base(p.log), limit)
	}
}

// stop ends what still runs.
func (a *arena) stop(t *testing.T) {
	if a.accept != nil {
		a.accept.Close()
	}
	if a.mux != nil {
		a.mux.stop()
	}
	for _, p := range a.procs {
		_ = p.cmd.Process.Kill()
	}
	for name, p := range a.procs {
		if _, err := p.wait(10 * time.Second); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// logs is what all processes printed, for a failed test.
func (a *arena) logs() string {
	var b strings.Builder
	for name, p := range a.procs {
		text, _ := os.ReadFile(p.log)
		b.WriteString("--- log of " + name + ", pid " + strconv.Itoa(p.cmd.Process.Pid) + "\n" + string(text))
	}
	return b.String()
}
