//go:build linux && soak

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// Each option that names a file or folder, with each thing that may stand in its place: our daemon starts where stock starts, and ends
// where stock ends.
func TestSoakFilesLikeStock(t *testing.T) {
	daemontest.RequireRoot(t)
	stock := daemontest.RequireOpenVPN(t)
	keys := t.TempDir()
	daemontest.WriteKeys(t, keys)
	client := map[string]string{
		"client": "", "remote": "127.0.0.1 9", "dev": "null", "nobind": "", "ca": "client1.ca", "cert": "client1.crt", "key": "client1.key",
	}
	client["ca"], client["cert"], client["key"] = filepath.Join(keys, "ca.crt"), filepath.Join(keys, "client1.crt"), filepath.Join(keys, "client1.key")
	server := map[string]string{
		"port": "1194", "dev": "tun", "server": "10.8.0.0 255.255.255.0", "dh": "none",
		"ca": filepath.Join(keys, "ca.crt"), "cert": filepath.Join(keys, "server.crt"), "key": filepath.Join(keys, "server.key"),
	}
	also := map[string][]string{
		"auth-gen-token-secret": {"auth-gen-token", "auth-user-pass-verify /bin/true via-env", "script-security 2"},
		"up":                    {"script-security 2"}, "tls-verify": {"script-security 2"}, "client-connect": {"script-security 2"},
	}
	kinds := []string{"folder", "missing", "no/parent", "empty", "garbage", "pipe", "garbage/inside"}
	// As with other differences, what is not there any more has to go.
	reasons := map[string]string{
		"writepid pipe":              "stock waits for a reader for ever",
		"ifconfig-pool-persist pipe": "stock takes what it reads of it for leases",
	}
	used := make(map[string]bool)
	var mu sync.Mutex
	t.Run("run", func(t *testing.T) {
		for end, options := range map[string][]string{
			"client": {
				"ca", "cert", "key", "pkcs12", "extra-certs", "capath", "crl-verify", "tls-auth", "tls-crypt", "tls-crypt-v2", "askpass", "auth-user-pass", "config",
				"tls-export-cert", "writepid", "status", "log", "log-append", "replay-persist", "tmp-dir", "chroot", "cd", "up", "tls-verify",
			},
			"server": {
				"dh", "ifconfig-pool-persist", "client-config-dir", "auth-gen-token-secret", "tls-export-cert", "crl-verify", "status", "tls-crypt-v2", "client-connect",
			},
		} {
			for _, option := range options {
				for _, kind := range kinds {
					name := option + " " + kind
					t.Run(end+"/"+name, func(t *testing.T) {
						t.Parallel()
						lines := map[string]string{"client": "", "server": ""}
						base := map[string]map[string]string{"client": client, "server": server}[end]
						for o, v := range base {
							if o != option && !(option == "pkcs12" && (o == "ca" || o == "cert" || o == "key")) {
								lines[end] += o + " " + v + "\n"
							}
						}
						text := lines[end] + option + " " + kind + "\n" + strings.Join(also[option], "\n") + "\n"
						want, _ := startIn(t, stock, text)
						got, said := startIn(t, program(t), text)
						if want == got {
							return
						}
						mu.Lock()
						defer mu.Unlock()
						if used[name] = reasons[name] != ""; !used[name] {
							t.Errorf("stock: %s, ours: %s\n%s", want, got, said)
						}
					})
				}
			}
		}
	})
	for name := range reasons {
		if !used[name] {
			t.Errorf("%s: there is no difference any more", name)
		}
	}
}

// startIn starts a program in a folder with one of each kind, and says how it ended or that it runs.
func startIn(t *testing.T, binary, config string) (how, said string) {
	t.Helper()
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "folder"), 0o755), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644),
		os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644), os.WriteFile(filepath.Join(dir, "garbage"), []byte("garbage text\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "t.conf"), []byte(config), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	out := new(daemontest.Log)
	cmd := exec.Command("unshare", "-n", "env", "-C", dir, binary, "--config", "t.conf", "--verb", "3")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end) && out.Count("link remote: ") == 0; {
		select {
		case <-ended:
			return "ends with " + strconv.Itoa(cmd.ProcessState.ExitCode()), out.String()
		case <-time.After(100 * time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	<-ended
	return "runs", out.String()
}
