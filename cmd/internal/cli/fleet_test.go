//go:build !nofleet

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/fleet/node"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// inFleet runs a command line on the machine of a node.
func inFleet(t *testing.T, dir, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var o, e bytes.Buffer
	world := &env.Env{In: strings.NewReader(in), Out: &o, Err: &e, Getenv: func(name string) string {
		return map[string]string{"MOONGATE_FLEET": dir, "MOONGATE_RUN_DIR": filepath.Join(dir, "none")}[name]
	}}
	code = Run(ctx, world, "test", append(args, "--reply-timeout", "15s"))
	return code, o.String(), e.String()
}

// run runs the node of a folder in front of a server with one client.
func runNode(t *testing.T, dir, user string) *node.Node {
	t.Helper()
	n, _ := runNodeOf(t, dir, user)
	return n
}

// runNodeOf is runNode that returns the server as well.
func runNodeOf(t *testing.T, dir, user string) (*node.Node, *mgmttest.Daemon) {
	t.Helper()
	d := mgmttest.NewDaemon(t, server.Config{})
	for _, l := range []string{"mode server", "fleet " + user, "peer 0 1 laptop-" + user + " 192.0.2.7:40000 user=" + user, "state CONNECTED SUCCESS 10.8.0.1"} {
		if err := d.Do(l); err != nil {
			t.Fatal(err)
		}
	}
	n, err := node.Open(t.Context(), dir, node.Options{History: func(_ context.Context, question []byte, take func([]byte) error) error {
		var f index.Filter
		if err := json.Unmarshal(question, &f); err != nil {
			return err
		}
		second := map[string]int{"joe": 2, "ann": 1}[user]
		for n, kind := range []string{journal.KindStart, journal.KindConnect, journal.KindDisconnect} {
			if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, kind) || f.User != "" && (kind == journal.KindStart || f.User != user) {
				continue
			}
			e := journal.Event{Version: 1, Time: time.Date(2026, 11, 2, 8, n, second, 0, time.UTC), Kind: kind, Run: 1, User: user}
			if kind == journal.KindStart {
				e.User = ""
			}
			line, err := json.Marshal(e)
			if err == nil {
				err = take(line)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, Manage: func(ctx context.Context, conn net.Conn) {
		_ = d.Server.ServeConn(ctx, conn, server.Access{Role: mgmt.RoleAdmin})
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n, d
}

// Two commands make a fleet of two, and -a fleet reaches both.
func TestFleet(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	a, b := filepath.Join(base, "a"), filepath.Join(base, "b")
	want := func(args string, dir, in string, code int, texts ...string) string {
		t.Helper()
		got, out, errs := inFleet(t, dir, in, strings.Split(args, " ")...)
		if got != code {
			t.Errorf("%s: exit code %d, and not %d\n%s%s", args, got, code, out, errs)
		}
		for _, text := range texts {
			if !strings.Contains(out+errs, text) {
				t.Errorf("%s: no %q in\n%s%s", args, text, out, errs)
			}
		}
		return out
	}
	want("fleet status", a, "", 1, "fleet init")
	want("-a fleet status", a, "", 2, "fleet init", "MOONGATE_FLEET")
	want("fleet init --name a.b --address 127.0.0.1", a, "", 1, "node name")
	init := want("fleet init --name a --listen 127.0.0.1 --address "+daemontest.FreeAddress(t, 2), a, "", 0, "  fleet "+a, "moongate fleet join mgfleet1.")
	want("fleet init --name a --address 127.0.0.1", a, "", 1, "not empty")
	_, token, _ := strings.Cut(init, "fleet join ")
	token = strings.TrimSpace(token)
	want("fleet status", a, "", 3, "0 of 1 nodes answered, not: a")
	want("fleet join "+token, b, "", 3, "is the daemon running")
	want("fleet join "+token[:40], b, "", 2, "no token")
	want("fleet join - --name b", b, "", 2, "no token")

	nodeA := runNode(t, a, "joe")
	want("fleet join - --name a --listen 127.0.0.1", b, token+"\n", 4, "has a node a")
	want("fleet join - --name b --listen 127.0.0.1 --address "+daemontest.FreeAddress(t, 2), b, token+"\n", 0, "  fleet "+b)
	want("fleet join - --name c", filepath.Join(base, "c"), token+"\n", 4, "ask for a new one")
	var invited report.FleetInvite
	if err := json.Unmarshal([]byte(want("fleet invite --json", a, "", 0)), &invited); err != nil || invited.Schema != report.InviteSchema {
		t.Errorf("%+v %v", invited, err)
	}
	if _, err := pki.ParseToken(invited.Token); err != nil {
		t.Error(err)
	}
	want("fleet status", a, "", 3, "admitted", "has not run yet")
	nodeB := runNode(t, b, "ann")
	eventuallyCode := func(args, dir string, code int) (out string) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			got, out, errs := inFleet(t, dir, "", strings.Split(args, " ")...)
			if got == code {
				return out
			}
			if time.Now().After(end) {
				t.Fatalf("%s: exit code %d, and not %d\n%s%s", args, got, code, out, errs)
			}
		}
	}
	out := eventuallyCode("fleet status", b, 0)
	for !strings.Contains(out, "led by") { // a may still be alone
		out = eventuallyCode("fleet status", b, 0)
	}
	var status report.Fleet
	if err := json.Unmarshal([]byte(want("fleet status --json", a, "", 0)), &status); err != nil || len(status.Nodes) != 2 || !status.Nodes[1].Ready || len(status.NotHeard) != 0 {
		t.Errorf("%+v %v", status, err)
	}

	want("-a fleet clients", a, "", 0, "a  ", "laptop-joe", "b  ", "laptop-ann")
	want("on * clients", b, "", 0, "laptop-joe", "laptop-ann")
	want("--json on b clients", a, "", 0, `"laptop-ann"`)
	want("-a x on b clients", a, "", 2, "leave -a out")
	want("-a fleet://c pid", a, "", 3, "no node c")
	want("-a fleet kill --user nobody", a, "", 6, "no client fits")
	want("-a fleet kill --user joe", b, "", 0, "1 disconnected", "laptop-joe")
	want("kill", b, "", 2, "--user")

	times := func(out string) (list []string) {
		for line := range strings.Lines(out) {
			var h report.History
			if err := json.Unmarshal([]byte(line), &h); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			list = append(list, h.Daemon+h.Event.Time.Format(" 04:05"))
		}
		return list
	}
	if got := times(want("-a fleet history --json", a, "", 0)); fmt.Sprint(got) != "[b 00:01 a 00:02 b 01:01 a 01:02 b 02:01 a 02:02]" {
		t.Errorf("the histories of both nodes in order: %v", got)
	}
	want("-a fleet history", b, "", 0, "DAEMON", "ann", "joe")
	want("-a fleet history --user ann", a, "", 0, "ann")
	want("on fleet last joe", a, "", 0, "DAEMON", "joe")
	want("-a fleet sessions --since 2026-11-02", a, "", 0, "ann", "joe")
	want("-a 127.0.0.1:1 history", a, "", 2, "nodes of the fleet")

	nodeB.Close()
	want("-a fleet last", a, "", 3, "joe", "1 of 2 nodes answered, not: b")
	want("-a fleet history", a, "", 3, "joe", "1 of 2 nodes answered, not: b")
	want("-a fleet clients", a, "", 3, "1 of 2 targets answered, not: b")
	want("fleet status", a, "", 3, "1 of 2 nodes answered, not: b")
	want("fleet leave --lost a", a, "", 2, "is this node")
	want("fleet leave --lost x", a, "", 1, "no node x")
	want("fleet leave --lost b", a, "", 0, "node b has left")
	eventuallyCode("fleet status", a, 0)
	nodeA.Close()
	want("fleet leave", a, "", 3)
	if left, err := os.ReadDir(base); err != nil || fmt.Sprint(len(left)) != "2" {
		t.Errorf("folders %v: %v", left, err)
	}
}
