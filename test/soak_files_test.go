//go:build linux && soak

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
		"client": "", "remote": "127.0.0.1 9", "dev": "null", "nobind": "",
		"ca": filepath.Join(keys, "ca.crt"), "cert": filepath.Join(keys, "client1.crt"), "key": filepath.Join(keys, "client1.key"),
	}
	server := map[string]string{
		"port": "1194", "dev": "tun", "server": "10.8.0.0 255.255.255.0", "dh": "none",
		"ca": filepath.Join(keys, "ca.crt"), "cert": filepath.Join(keys, "server.crt"), "key": filepath.Join(keys, "server.key"),
	}
	also := map[string][]string{
		"auth-gen-token-secret": {"auth-gen-token", "auth-user-pass-verify /bin/true via-env", "script-security 2"},
		"up":                    {"script-security 2"}, "tls-verify": {"script-security 2"}, "client-connect": {"script-security 2"},
	}
	kinds := []string{"folder", "missing", "no/parent", "empty", "garbage", "garbage/inside"} // pipes: TestPipeWithoutWriter
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
				t.Run(end+"/"+option+" "+kind, func(t *testing.T) {
					t.Parallel()
					text := option + " " + kind + "\n" + strings.Join(also[option], "\n") + "\n"
					for o, v := range map[string]map[string]string{"client": client, "server": server}[end] {
						if o != option && !(option == "pkcs12" && (o == "ca" || o == "cert" || o == "key")) {
							text = o + " " + v + "\n" + text
						}
					}
					want, _ := startIn(t, stock, text)
					if got, said := startIn(t, program(t), text); want != got {
						t.Errorf("stock: %s, ours: %s\n%s", want, got, said)
					}
				})
			}
		}
	}
}

// startIn starts a program in a folder with one of each kind, and says how it ended or that it runs.
func startIn(t *testing.T, binary, config string) (how, said string) {
	t.Helper()
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "folder"), 0o755),
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
