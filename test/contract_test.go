package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// One shell script drives our server and the stock one, and sees the same.
func TestOneScriptForBothDaemons(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program and talks to the stock daemon")
	}
	stock, err := exec.LookPath("openvpn")
	if err != nil {
		t.Skip("the stock openvpn is not installed")
	}
	dir, err := os.MkdirTemp("", "mg") // the path of t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "moongate")
	if err := daemontest.BuildProgram(program); err != nil {
		t.Fatal(err)
	}
	ca, err := pki.NewCA("contract")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"ca.crt": ca.PEM, "pw": []byte("moonlight\n")}
	for _, spec := range []pki.Spec{{Name: "server", Server: true}, {Name: "laptop"}} {
		c, err := ca.Issue(spec)
		if err != nil {
			t.Fatal(err)
		}
		files[spec.Name+".crt"], files[spec.Name+".key"] = c.CertPEM, c.KeyPEM
	}
	if err := pki.WriteFiles(dir, files); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("contract.sh")
	if err != nil {
		t.Fatal(err)
	}
	const want = `wait for the server: 0
CONNECTED
the client is there
a client that never comes: 5
nobody now: 6
another state: 6
list: 0
laptop
list nobody: 0
{"schema":"moongate.clients/2","clients":[]}
status: 0
server
who would go: 0
1 would be disconnected (--dry-run)
no such name: 1
no such pattern: 6
go: 0
1 disconnected
several lines: 0
SUCCESS: verb=N
SUCCESS: mute=N
SUCCESS: pid=N
an error: 1
wrong usage: 2
verbosity: 0
verbosity is: 0
{"schema":"moongate.setting/1","verb":4}
first line only: 0
1
not there: 3
state: 0
state --all: 0
log: 0
echo: 0
version: 0
pid: 0
load-stats: 0
bytecount: 0
clients: 0
status -o raw: 0
hold: 0
verb: 0
mute: 0
auth-retry: 0
raw pid: 0
exec pid state: 0
attach -c pid: 0
signal usr2: 0
forget-passwords: 0
needok x ok: 1
needstr x y: 1
username Auth joe: 1
exec nonsense: 1
attach -c nonsense: 1
raw kill: 1
an answer nobody asked for: 1
a decision about nobody: 1
no password: 4
wrong password: 4
no file of a password: 2
output full: 1
output closed: 0
input closed: 0
silence: 5
silence is waited for: 5
it goes on: 0
it dies under way: 3
gone: 3
`
	for name, daemon := range map[string][]string{"ours": {program, "daemon"}, "stock": {stock}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := daemontest.NewNamespace(t) // both ends: the client makes no device
			sock := filepath.Join(dir, name+".sock")
			start := func(args ...string) {
				cmd := ns.Command(context.WithoutCancel(t.Context()), args[0], args[1:]...)
				cmd.Dir = dir
				log, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.log", name, len(args))))
				if err != nil {
					t.Fatal(err)
				}
				cmd.Stdout, cmd.Stderr = log, log
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					cmd.Process.Kill()
					cmd.Wait()
					if b, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
						t.Logf("%v:\n%s", args, b)
					}
				})
			}
			start(append(daemon, "--dev", "tun", "--server", "10.78.0.0", "255.255.255.0", "--proto", "udp4", "--local", "127.0.0.1", "--topology", "subnet",
				"--dh", "none", "--ca", "ca.crt", "--cert", "server.crt", "--key", "server.key", "--verb", "3", "--management", sock, "unix", "pw")...)
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(sock); err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("no socket")
				}
			}
			start(program, "daemon", "--dev", "null", "--client", "--nobind", "--proto", "udp4", "--remote", "127.0.0.1", "--ca", "ca.crt", "--cert", "laptop.crt",
				"--key", "laptop.key", "--ifconfig-noexec", "--route-noexec", "--verb", "3")
			cmd := exec.CommandContext(t.Context(), "sh", script, program, sock, "laptop", filepath.Join(dir, "pw"))
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if diff := cmp.Diff(want, string(out)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
