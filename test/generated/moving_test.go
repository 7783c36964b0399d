//go:build linux

package generated

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// played is a block of commands on the page about moving: the set-up, the folder that the page gives it, the commands.
var played = regexp.MustCompile("(?s)<!-- played: (\\S+) as (\\S+) -->\n```sh\n(.*?)```\n")

// Every command of docs/moving.md does what the page says, on the files of that generator: the check finds no mistake, the daemon
// serves a stock client, and what is asked of it is answered.
func TestMovingPage(t *testing.T) {
	t.Parallel()
	build(t)
	page, err := os.ReadFile("../../docs/moving.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := played.FindAllStringSubmatch(string(page), -1)
	if n := strings.Count(string(page), "```sh"); n != len(blocks) || n < 5 {
		t.Fatalf("%d blocks of commands, %d of them played", n, len(blocks))
	}
	bin := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "moongate")); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + bin + ":" + os.Getenv("PATH")
	for _, b := range blocks {
		name, folder, commands := b[1], b[2], strings.Split(strings.TrimSpace(b[3]), "\n")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setups(t, name)[0]
			a := newAuthority(t)
			serverHost, clientHost := daemontest.NewPair(t)
			server := s.prepare(t, a, serverHost, binary, "server.conf", nil)
			client := s.prepare(t, a, clientHost, program(t, "stock"), "client.conf", s.ClientArg)
			served := false
			for _, command := range commands {
				command = strings.ReplaceAll(command, folder, server.dir)
				switch {
				case strings.HasPrefix(command, "cd "):
				case strings.HasPrefix(command, "moongate daemon"):
					server.argv = []string{"env", path, "sh", "-c", "exec " + command}
					server.start(t)
					client.start(t)
					s.tunnel(t, client)
					served = true
				default:
					if out, err := serverHost.TryRun("env", "-C", server.dir, path, "sh", "-c", command); err != nil {
						t.Errorf("%s: %v\n%s", command, err, out)
					}
				}
			}
			if !served {
				t.Error("no daemon was started")
			}
			client.stop(t)
			server.stop(t)
		})
	}
}
