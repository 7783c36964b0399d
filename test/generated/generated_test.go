//go:build linux

package generated

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// pairing is which daemon is at which end.
type pairing struct{ server, client string }

var pairings = []pairing{{"stock", "stock"}, {"ours", "stock"}, {"stock", "ours"}, {"ours", "ours"}}

func (p pairing) String() string { return p.server + "-" + p.client }

func program(t *testing.T, name string) string {
	t.Helper()
	if name == "ours" {
		return binary
	}
	return daemontest.RequireOpenVPN(t)
}

// outcome is what a pairing did.
type outcome struct {
	facts facts
	back  time.Duration // from the reload until the client answers again, 0 when it was not measured
}

const upLimit = 30 * time.Second

// play brings a generator's tunnel up, looks at it, and with life reloads and revokes as the generator does.
func (s *setup) play(t *testing.T, a *authority, p pairing, life bool) outcome {
	t.Helper()
	serverHost, clientHost := daemontest.NewPair(t)
	clientHost.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1")
	clientHost.Run(t, "ip", "-6", "route", "add", "default", "via", "fd99::1")
	server := s.prepare(t, a, serverHost, program(t, p.server), "server.conf", s.ServerArg)
	client := s.prepare(t, a, clientHost, program(t, p.client), "client.conf", s.ClientArg)
	t.Cleanup(func() {
		if t.Failed() {
			for name, e := range map[string]*end{"server": server, "client": client} {
				if e.proc != nil {
					t.Logf("%s:\n%s", name, e.proc.Log())
				}
			}
		}
	})
	var seats []*held
	for who, e := range map[string]*end{"server": server, "client": client} {
		for _, command := range s.Before[who] {
			e.host.Run(t, "sh", "-c", strings.ReplaceAll(command, "@D@", e.dir))
		}
		if of, ok := s.Seats[who]; ok {
			seats = append(seats, of.take(t, a, who, e.dir))
		}
	}
	if s.Refused != "" {
		e := map[string]*end{"server": server, "client": client}[s.Refused]
		return outcome{facts: s.refusal(t, e)}
	}
	server.start(t)
	server.serves(t)
	client.start(t)
	s.tunnel(t, client)
	time.Sleep(500*time.Millisecond + time.Duration(s.Settle)*time.Second) // scripts that come after the routes
	o := outcome{facts: collect(t, server, client)}
	if life {
		o.back = s.reload(t, a, server, client, a.files["crl.pem"])
		if s.NoCRL == 0 && s.revokes(t) {
			s.revoke(t, a, server, client)
		}
	}
	client.stop(t)
	server.stop(t)
	if !life { // what scripts saw at the end; after reloads the order of events is chance
		o.facts.environment(t, "server", server.dir)
		o.facts.environment(t, "client", client.dir)
		o.facts.notices(t, "server", server.proc.Log(), server.dir)
		o.facts.notices(t, "client", client.proc.Log(), client.dir)
		for _, h := range seats {
			h.facts(t, o.facts, map[string]string{"server": server.dir, "client": client.dir}[h.who])
		}
	}
	return o
}

// refusal is what an end says that does not start.
func (s *setup) refusal(t *testing.T, e *end) facts {
	t.Helper()
	e.start(t)
	code := e.proc.Wait(t, upLimit)
	f := facts{s.Refused + " exit status": strconv.Itoa(code)}
	f.notices(t, s.Refused, e.proc.Log(), e.dir)
	return f
}

// tunnel waits for an answer through the tunnel.
func (s *setup) tunnel(t *testing.T, client *end) time.Duration {
	t.Helper()
	return await(t, upLimit, "answer of "+s.Gateway, func() bool { return s.answers(client) })
}

// answers reports whether the gateway answers through the tunnel's device: without one the server's host would.
func (s *setup) answers(client *end) bool {
	out, _ := client.host.TryRun("ip", "-o", "link", "show", "type", "tun", "up")
	_, device, ok := strings.Cut(out, ": ")
	if !ok {
		return false
	}
	device, _, _ = strings.Cut(device, ":")
	_, err := client.host.TryRun("ping", "-n", "-c", "1", "-W", "1", "-I", device, s.Gateway)
	return err == nil
}

// reload does what the generator does after a change, with a list, and measures how long the client is away, if it
// comes back by itself.
func (s *setup) reload(t *testing.T, a *authority, server, client *end, list []byte) (back time.Duration) {
	t.Helper()
	server.revocations(t, list)
	switch s.Reload {
	case "restart":
		server.stop(t)
		server.start(t)
	case "hup":
		server.signal(syscall.SIGHUP)
		time.Sleep(3 * time.Second) // the stock daemon is away for a second
	case "mgmtkill": // the client's next try is its way back
		speak(t, server, "/dev/stdin", "kill client")
	case "mgmtsig": // a supervisor starts the daemon again
		speak(t, server, "127.0.0.1 2080", "signal SIGTERM")
		server.stop(t)
		server.start(t)
	}
	server.serves(t)
	if s.Reconnect == 0 {
		return 0
	}
	return s.tunnel(t, client)
}

// speak gives the server's management port one command.
func speak(t *testing.T, server *end, at, command string) {
	t.Helper()
	line := fmt.Sprintf(`exec 3<>/dev/tcp/%s; read -r -t 5 hello <&3; echo %q >&3; read -r -t 5 answer <&3; echo "$answer"`, strings.ReplaceAll(at, " ", "/"), command)
	out := ""
	if strings.HasPrefix(at, "127.") {
		out = server.host.Run(t, "bash", "-c", line)
	} else {
		out = unixCommand(t, server.dir+"/mgmt.sock", command)
	}
	if !strings.Contains(out, "SUCCESS") {
		t.Errorf("%s: %q", command, out)
	}
}

// revokes reports whether the generator's server looks at a revocation list.
func (s *setup) revokes(t *testing.T) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", s.name, "server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), "\ncrl-verify ")
}

// revoke puts the client on the list: it does not come in any more.
func (s *setup) revoke(t *testing.T, a *authority, server, client *end) {
	t.Helper()
	if s.Reconnect == 0 {
		client.stop(t)
		client.start(t)
		s.tunnel(t, client) // what did not come back by itself does so when it starts again
	}
	s.reloadRevoked(t, a, server)
	client.stop(t)
	client.start(t)
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		if s.answers(client) {
			t.Fatal("a revoked client got in")
		}
	}
}

func (s *setup) reloadRevoked(t *testing.T, a *authority, server *end) {
	t.Helper()
	gone := *s
	gone.Reconnect = 0 // nobody comes back
	gone.reload(t, a, server, nil, a.revoked)
}

// compare plays all pairings of some generators and holds them to the stock pair. It returns the
// differences of the table that there were.
func compare(t *testing.T, list []*setup, life bool) (used map[*difference]bool) {
	build(t)
	used = make(map[*difference]bool)
	type result struct {
		s *setup
		p pairing
		outcome
	}
	results := make(chan result, len(list)*len(pairings))
	t.Run("run", func(t *testing.T) {
		for _, s := range list {
			a := newAuthority(t)
			for _, p := range pairings {
				t.Run(s.name+"/"+p.String(), func(t *testing.T) {
					t.Parallel()
					results <- result{s, p, s.play(t, a, p, life)}
				})
			}
		}
	})
	close(results)
	all := make(map[string]map[pairing]outcome)
	for r := range results {
		if all[r.s.name] == nil {
			all[r.s.name] = make(map[pairing]outcome)
		}
		all[r.s.name][r.p] = r.outcome
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		reference, ok := all[name][pairings[0]]
		if !ok {
			continue // it failed, and said why
		}
		for _, p := range pairings[1:] {
			got, ok := all[name][p]
			if !ok {
				continue
			}
			for _, key := range slices.Sorted(maps.Keys(union(reference.facts, got.facts))) {
				want, have := reference.facts[key], got.facts[key]
				if want == have {
					continue
				}
				if d := allowed(name, p, key); d != nil {
					used[d] = true
					continue
				}
				t.Errorf("%s, %v: %s\nstock %q\n  got %q", name, p, key, want, have)
			}
			if limit := reference.back + 4*time.Second; got.back > limit {
				t.Errorf("%s, %v: the client was back after %v, with stock after %v", name, p, got.back, reference.back)
			}
		}
	}
	return used
}

func union(a, b facts) facts {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// The set-ups that most people have.
func TestGenerated(t *testing.T) {
	compare(t, setups(t, "01-angristan-new", "03-nyr", "05-pivpn", "08-opnsense", "10-vyos-server", "15-nethserver-h2n", "27-chroot",
		"31-vyos-secret", "36-networkmanager", "37-systemd-bridge"), false)
}
