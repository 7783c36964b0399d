//go:build linux

package netconf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/netconf"
)

// A start removes the notes of dead processes in namespaces that have ended, and no others.
func TestSweepNotes(t *testing.T) {
	made := t.TempDir()
	openNotes(t, made)
	b, err := os.ReadFile(notesFile(t, made))
	if err != nil {
		t.Fatal(err)
	}
	running := string(b)
	netns := regexp.MustCompile(`"netns":\d+`)
	if !netns.MatchString(running) || !strings.Contains(running, `"pidns":`) {
		t.Fatalf("the notes name no namespaces: %s", running)
	}
	killed := dead(t, notesFile(t, made))
	const gone = `"netns":12345`
	did := `{"did":{"route":{"dst":"10.9.0.0/16"}}}` + "\n"
	for _, tt := range []struct {
		name, text string
		stays      bool
	}{
		{"of a process that runs, here", running, true},
		{"of a process that runs, in a namespace that has ended", netns.ReplaceAllString(running, gone), true},
		{"of a dead process, here", killed + did, true},
		{"of a dead process, in a namespace that has ended", netns.ReplaceAllString(killed, gone) + did, false},
		{"with an unfinished line", netns.ReplaceAllString(killed, gone) + `{"did":`, false},
		{"with resolvers that are still changed", netns.ReplaceAllString(killed, gone) + `{"resolver":{"way":"file"}}` + "\n", true},
		{"of a process in another pid namespace", strings.Replace(netns.ReplaceAllString(killed, gone), `"pidns":`, `"pidns":1`, 1), true},
		{"of an older version", `{"pid":1,"start":"x"}` + "\n", true},
		{"of nobody", "", true},
		{"that make no sense", "garbage\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, fmt.Sprintf("%08x-%d", 1, 2))
			path := filepath.Join(dir, "1-2.routes")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			netconf.SweepNotes(root)
			if _, err := os.Lstat(path); (err == nil) != tt.stays {
				t.Errorf("it stays: %v, want %v", err == nil, tt.stays)
			}
			if _, err := os.Lstat(dir); (err == nil) != tt.stays {
				t.Errorf("its folder stays: %v, want %v", err == nil, tt.stays)
			}
		})
	}

	// What another user could have written is not even read.
	root := t.TempDir()
	dir := filepath.Join(root, "open")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "1-2.routes"), []byte(netns.ReplaceAllString(killed, gone)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	netconf.SweepNotes(root)
	if _, err := os.Lstat(filepath.Join(dir, "1-2.routes")); err != nil {
		t.Errorf("notes in a folder that others may write: %v", err)
	}
}
