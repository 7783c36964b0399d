//go:build linux

package conformance

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
)

// unnamed are commands that stock has and its help does not name on a line of their own.
var unnamed = map[string]bool{"exit": true, "nclients": true, "quit": true}

// TestCommandsOfStock holds the commands of our port against those that the help of stock's names. We have all of them, but for smart cards in
// builds without; and docs/management.md says of each further one that it is ours, or of 2.7.
func TestCommandsOfStock(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts the stock daemon")
	}
	stock := daemontest.RequireOpenVPN(t)
	s, err := parseScenario("commands", []byte("# The commands.\ndaemon: alone\n\nattach\n-- daemon.conf --\nmanagement-hold\n"))
	if err != nil {
		t.Fatal(err)
	}
	named := make(map[string]bool)
	for _, line := range helpOf(t, newArena(t, s, []string{stock}, stock)) {
		if m := regexp.MustCompile(`^([a-z][a-z0-9-]+)[ :]`).FindStringSubmatch(line); m != nil {
			named[m[1]] = true
		}
	}
	if len(named) < 25 {
		t.Fatalf("only %d commands found in the help of stock: %v", len(named), named)
	}
	doc, err := os.ReadFile("../../docs/management.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range named {
		if mgmt.Lookup(name) == nil && !strings.HasPrefix(name, "pkcs11-") {
			t.Errorf("stock has a command %s, ours has not", name)
		}
	}
	for _, c := range mgmt.Commands() {
		told := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(c.Name) + "\\b(?:[^|]|\\\\\\|)*\\|[^|]*\\| (?:\\*\\*(?:ours|2\\.7)\\*\\*|stock has it on)").Match(doc)
		switch has := named[c.Name] || unnamed[c.Name]; {
		case !has && !told:
			t.Errorf("stock has no command %s, and docs/management.md does not say so", c.Name)
		case has && told && !strings.HasPrefix(c.Name, "push-update"):
			t.Errorf("docs/management.md calls %s ours, stock has it", c.Name)
		}
	}
}

// helpOf starts the daemon of an arena and returns what its port says to help.
func helpOf(t *testing.T, a *arena) (lines []string) {
	t.Helper()
	p := &player{arena: a, sessions: make(map[int]*session)}
	if err := errors.Join(p.attach(1), p.send(1, p.sessions[1], "help\n", "help")); err != nil {
		t.Fatal(err)
	}
	conn := p.sessions[1]
	defer conn.conn.Close()
	limit := time.After(patience)
	for {
		line, err := conn.next(limit)
		if err != nil || line == closed {
			t.Fatalf("no end of the help: %v\n%s", err, strings.Join(lines, "\n"))
		}
		if line == "END" {
			return lines
		}
		lines = append(lines, line)
	}
}
