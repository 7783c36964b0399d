//go:build linux

package test

import (
	"encoding/binary"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// What was received before is refused after a restart, by our daemon and the stock one alike, from one file: written while the
// peer was there, and made to look an hour ahead.
func TestReplayPersist(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client []string
		secret         bool
	}{
		{name: "tls-auth", server: []string{"--tls-auth", "ta.key", "0"}, client: []string{"--tls-auth", "ta.key", "1"}},
		{name: "tls-crypt", server: []string{"--tls-crypt", "ta.key"}, client: []string{"--tls-crypt", "ta.key"}},
		{name: "secret", server: []string{"--secret", "ta.key"}, client: []string{"--secret", "ta.key"}, secret: true},
	} {
		for name, start := range programs {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				path := l.file("ids")
				args := append(l.paths(tt.client), "--replay-persist", path)
				if tt.secret {
					stock(t, l.server, l.peerArgs(false, append(l.paths(tt.server), "--cipher", "AES-256-CBC")...))
					args = l.peerArgs(true, append(args, "--cipher", "AES-256-CBC")...)
				} else {
					l.stockServer(t, l.paths(tt.server)...)
					args = l.clientArgs(args...)
				}
				run := func() *daemontest.Process {
					t.Helper()
					c := start(t, l.client, args)
					c.WaitLine(t, up, upLimit)
					return c
				}
				c := run()
				ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
				if info, err := os.Stat(path); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
					t.Errorf("the file while the daemon runs: %v, %v; want an empty one of mode 0600", info, err)
				}
				terminate(t, c)
				b, err := os.ReadFile(path)
				if err != nil || len(b) != 16 {
					t.Fatalf("the file holds %x, %v; want 16 bytes", b, err)
				}
				at, id := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])
				if age := time.Since(time.Unix(int64(at), 0)); age < -time.Second || age > time.Minute || id == 0 || id > 100 {
					t.Errorf("the file holds id %d of a count that began %v ago", id, age)
				}
				time.Sleep(time.Until(time.Unix(int64(at)+2, 0))) // the count of a new session begins later
				terminate(t, run())

				binary.LittleEndian.PutUint64(b, uint64(time.Now().Add(time.Hour).Unix()))
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				c = start(t, l.client, args)
				await(t, "two refusals", upLimit, func() bool {
					return strings.Count(c.Log(), "may be a replay")+strings.Count(c.Log(), "replayed") >= 2
				})
				if !tt.secret && strings.Contains(c.Log(), up) {
					t.Error("connected by what looks like replayed packets")
				}
				if out, err := l.client.TryRun("ping", "-n", "-c", "2", "-i", "0.2", "-W", "0.5", "10.8.0.1"); err == nil {
					t.Errorf("a ping was answered by what looks like replayed packets:\n%s", out)
				}
				terminate(t, c)
				if after, err := os.ReadFile(path); err != nil || string(after) != string(b) {
					t.Errorf("the file went from %x to %x, %v", b, after, err)
				}
			})
		}
	}
}

// After a crash the file still says what was received, up to a few seconds before; with stock, up to a minute. Stock's minute passes in
// two seconds here.
func TestReplayPersistOutlivesACrash(t *testing.T) {
	t.Parallel()
	programs := map[string]starter{"ours": ours, "stock": func(t testing.TB, n *daemontest.Namespace, args []string) *daemontest.Process {
		return stockInFakeTime(t, n, "FAKETIME=+0 x30", args)
	}}
	for name, tt := range map[string]struct {
		server, client []string
	}{
		"tls-crypt": {[]string{"--tls-crypt", "ta.key"}, []string{"--tls-crypt", "ta.key"}},
		"secret":    {},
	} {
		for who, start := range programs {
			t.Run(name+"/"+who, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				path := l.file("ids")
				args := l.clientArgs(append(l.paths(tt.client), "--replay-persist", path)...)
				if tt.server == nil {
					static := []string{"--secret", l.file("ta.key"), "--cipher", "AES-256-CBC", "--ping", "1"}
					stock(t, l.server, l.peerArgs(false, static...))
					args = l.peerArgs(true, append(static, "--replay-persist", path)...)
				} else {
					l.stockServer(t, l.paths(tt.server)...)
				}
				c := start(t, l.client, args)
				c.WaitLine(t, up, upLimit)
				var b []byte
				await(t, "the file says what was received", 15*time.Second, func() bool {
					b, _ = os.ReadFile(path)
					return len(b) == 16
				})
				c.Signal(t, syscall.SIGKILL)
				c.Wait(t, upLimit)
				if after, err := os.ReadFile(path); err != nil || len(after) != 16 || binary.LittleEndian.Uint32(after[8:]) == 0 {
					t.Errorf("after the crash the file holds %x, %v", after, err)
				}
			})
		}
	}
}

// A replay file that cannot be used is told, and done without.
func TestReplayPersistWithoutFile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t, "--tls-auth", l.file("ta.key"))
	c := ours(t, l.client, l.clientArgs("--tls-auth", l.file("ta.key"), "--replay-persist", l.dir))
	c.WaitLine(t, "Cannot open --replay-persist file "+l.dir+" for read/write: Is a directory (errno=21)", upLimit)
	c.WaitLine(t, up, upLimit)
	terminate(t, c)
}
