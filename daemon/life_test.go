package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	vpnconfig "github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// running is a whole daemon in this process, without a device, signals or root.
type running struct {
	t    *testing.T
	dir  string
	addr string
	out  *daemontest.Log
	done chan int
	port *client.Client
}

const serverLines = "mode server\ntls-server\ndev tun\ntopology subnet\nserver 10.8.0.0 255.255.255.0\nifconfig-noexec\nroute-noexec\nport 31198\nproto udp4\n" +
	"dh none\nca @ca.crt\ncert @server.crt\nkey @server.key\nverb 3\n"

// begin runs a configuration and attaches to the daemon's port. %s in it is an address of the daemon's own.
func begin(t *testing.T, config string, host ScriptHost) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), out: new(daemontest.Log), done: make(chan int, 1)}
	daemontest.WriteKeys(t, r.dir)
	r.addr = daemontest.Loopback()
	r.configure(config)
	args := []string{"--config", r.file("vpn.conf")}
	opts, err := vpnconfig.Parse(args, vpnconfig.Env{})
	if err != nil {
		t.Fatal(err)
	}
	opts.Dev, opts.DevType = "null", vpnconfig.DevNull // no device, and so no root
	p := newProcess(args, opts, Env{Stdin: strings.NewReader(""), Stdout: r.out, Stderr: r.out, Program: "moongate", NoSignals: true, Scripts: host}.withDefaults())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		status := p.run(ctx)
		p.close()
		r.done <- status
	}()
	t.Cleanup(func() {
		cancel()
		r.ended()
		if r.port != nil {
			r.port.Close()
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", r.out)
		}
	})
	r.await("the port is open", func() bool {
		r.port, err = client.Dial(t.Context(), "unix:"+r.file("port.sock"), client.Options{})
		return err == nil
	})
	return r
}

func (r *running) file(name string) string { return filepath.Join(r.dir, name) }

// configure writes the configuration file. "@" is the folder of the daemon.
func (r *running) configure(lines string) {
	r.t.Helper()
	text := "local " + r.addr + "\nmanagement @port.sock unix\n" + lines
	if err := os.WriteFile(r.file("vpn.conf"), []byte(strings.ReplaceAll(text, "@", r.dir+"/")), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// says sends a command and compares the reply: its line, or the beginning of one of its lines.
func (r *running) says(command, want string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 15*time.Second)
	defer cancel()
	reply, err := r.port.Cmd(ctx, command)
	lines := reply.Raw
	if err != nil {
		lines = append(lines, "ERROR: "+err.Error())
	}
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
		r.t.Errorf("%s: %q, want %q", command, lines, want)
	}
}

func (r *running) await(what string, ok func() bool) {
	r.t.Helper()
	daemontest.Await(r.t, what, ok)
}

func (r *running) logs(line string) {
	r.t.Helper()
	r.await(fmt.Sprintf("the line %q", line), func() bool { return strings.Contains(r.out.String(), line) })
}

// ended waits for the end and returns the exit status.
func (r *running) ended() int {
	r.t.Helper()
	select {
	case status := <-r.done:
		r.done <- status
		return status
	case <-time.After(20 * time.Second):
		r.t.Error("the daemon does not end")
		return -1
	}
}

// A server's life at its port: what it answers, what it writes, what a reload changes and what it does not.
func TestServerLife(t *testing.T) {
	t.Parallel()
	r := begin(t, serverLines+"status @status.txt 1\nwritepid @pid.txt\njournal @\nkeepalive 10 60\n", nil)
	r.logs("Initialization Sequence Completed")
	r.says("version", "OpenVPN Version")
	r.says("pid", fmt.Sprintf("pid=%d", os.Getpid()))
	r.says("state", "CONNECTED,SUCCESS,10.8.0.1")
	r.says("status 2", "HEADER,CLIENT_LIST")
	r.says("verb 5", "SUCCESS: verb level changed")
	r.says("verb", "SUCCESS: verb=5")
	r.says("mute 40", "SUCCESS: mute level changed")
	r.says("mute", "SUCCESS: mute=40")
	r.says("load-stats", "nclients=0")
	r.says("auth-retry interact", "SUCCESS")
	r.says("kill nobody", "ERROR: common name 'nobody' not found")
	r.says("client-kill 7", "ERROR")
	r.says("forget-passwords", "SUCCESS")
	r.await("the status file", func() bool {
		b, _ := os.ReadFile(r.file("status.txt"))
		return strings.Contains(string(b), "ROUTING TABLE")
	})
	if b, _ := os.ReadFile(r.file("pid.txt")); strings.TrimSpace(string(b)) != fmt.Sprint(os.Getpid()) {
		t.Errorf("pid file %q", b)
	}

	const more = "status @status.txt 1\nwritepid @pid.txt\njournal @\n"
	r.configure(serverLines + more + "keepalive 10 60\n")
	r.says("reload", "")
	r.configure(serverLines + more + "keepalive 20 120\nmax-clients 5\nport 31199\n")
	r.says("reload", "")
	for _, line := range []string{"Reload: max-clients applied", "Reload: keepalive applied to new connections", "Reload: port needs a restart to take effect"} {
		r.logs(line)
	}
	for name, wrong := range map[string]string{"option": "no-such-option\n", "file": "ca @missing.crt\n", "certificate": "<ca>\nnonsense\n</ca>\n"} {
		r.configure(serverLines + more + wrong)
		before := r.out.Count("applied")
		r.says("reload", "ERROR")
		if r.out.Count("applied") != before {
			t.Errorf("%s: a reload with a mistake applied something", name)
		}
	}
	r.says("signal SIGTERM", "SUCCESS: signal SIGTERM thrown")
	if status := r.ended(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if _, err := os.Stat(r.file("pid.txt")); err == nil {
		t.Error("the pid file is left")
	}
	if list, _ := filepath.Glob(r.file("*.jsonl")); len(list) == 0 {
		t.Error("nothing is in the journal")
	}
}

// A client's life without a server: it waits in the hold, starts over by signals, and ends.
func TestClientLife(t *testing.T) {
	t.Parallel()
	r := begin(t, "client\ndev null\nremote 127.0.0.1 9\nproto udp4\nlport 0\nca @ca.crt\ncert @server.crt\nkey @server.key\nverb 3\nmanagement-hold\nconnect-retry 1 1\n", nil)
	r.configure("client\ndev null\nremote 127.0.0.1 9\nproto udp4\nca @ca.crt\ncert @server.crt\nkey @server.key\nverb 4\nmanagement-hold\nconnect-retry 1 1\necho again\n")
	r.says("state", "CONNECTING")
	r.says("hold", "SUCCESS: hold=1")
	r.says("hold release", "SUCCESS: hold release succeeded")
	r.logs("UDPv4 link remote: [AF_INET]127.0.0.1:9")
	r.says("signal SIGUSR1", "SUCCESS: signal SIGUSR1 thrown")
	r.logs("SIGUSR1[hard,] received, process restarting")
	r.await("the second connection", func() bool {
		r.says("hold release", "SUCCESS: hold release succeeded") // until the hold is there to be released
		return r.out.Count("UDPv4 link remote: [AF_INET]127.0.0.1:9") == 2
	})
	r.says("signal SIGHUP", "SUCCESS: signal SIGHUP thrown")
	r.logs("SIGHUP[hard,")
	r.await("it has read its options again", func() bool { return r.out.Count("library versions:") == 2 })
	r.says("verb", "SUCCESS: verb=4")
	r.await("the echo", func() bool {
		reply, err := r.port.Cmd(t.Context(), "echo all")
		return err == nil && strings.Contains(strings.Join(reply.Raw, " "), "again")
	})
	r.says("client-auth-nt 1 1", "ERROR")
	r.says("signal SIGINT", "SUCCESS: signal SIGINT thrown")
	if status := r.ended(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// What ends before a tunnel: the answers to a command line.
func TestCommandLines(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		args   []string
		status int
		out    string
	}{
		"version":     {[]string{"--version"}, 0, "OpenVPN"},
		"help":        {[]string{"--help"}, 1, "--"},
		"nothing":     {nil, 1, "--"},
		"unknown":     {[]string{"--no-such-option"}, 1, "Options error: Unrecognized option or missing or extra parameter(s)"},
		"no file":     {[]string{"--config", dir + "/none"}, 1, "Options error: In [CMD-LINE]:1: Error opening configuration file"},
		"incomplete":  {[]string{"--client", "--dev", "null"}, 1, "Options error:"},
		"a key":       {[]string{"--genkey", "secret", dir + "/key"}, 0, ""},
		"a wrap key":  {[]string{"--genkey", "tls-crypt-v2-server", dir + "/wrap"}, 0, ""},
		"a token key": {[]string{"--genkey", "auth-token", dir + "/token"}, 0, ""},
		"ciphers":     {[]string{"--show-ciphers"}, 0, "AES-256-GCM"},
	} {
		checkLine(t, name, tt.args, tt.status, tt.out)
	}
	checkLine(t, "a client key", []string{"--tls-crypt-v2", dir + "/wrap", "--genkey", "tls-crypt-v2-client", dir + "/client"}, 0, "")
	checkLine(t, "bad pid file", []string{
		"--dev", "null", "--ifconfig", "10.4.0.1", "10.4.0.2", "--remote", "127.0.0.1", "--secret", dir + "/key",
		"--allow-deprecated-insecure-static-crypto", "--cipher", "AES-256-CBC", "--writepid", dir + "/none/pid",
	}, 1, "Options error: --writepid fails with")
	for name, begins := range map[string]string{"key": "#", "wrap": "-----BEGIN OpenVPN tls-crypt-v2 server key", "client": "-----BEGIN OpenVPN tls-crypt-v2 client key", "token": "-----BEGIN OpenVPN auth-token"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.HasPrefix(string(b), begins) {
			t.Errorf("%s: %.40q %v", name, b, err)
		}
	}
}

func checkLine(t *testing.T, name string, args []string, status int, want string) {
	t.Helper()
	out := new(daemontest.Log)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got := Main(ctx, args, Env{Stdin: strings.NewReader(""), Stdout: out, Stderr: out, Program: "moongate", NoSignals: true})
	if got != status || !strings.Contains(out.String(), want) {
		t.Errorf("%s: exit status %d, want %d; said %q, want %q", name, got, status, out, want)
	}
}
