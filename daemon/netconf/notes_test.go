package netconf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/netconf/netconftest"
)

func openNotes(t testing.TB, dir string) *netconf.Notes {
	t.Helper()
	n, err := netconf.OpenNotes(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// notesFile is the one file of notes in a folder.
func notesFile(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.routes"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v", files, err)
	}
	return files[0]
}

// dead is the notes of this process as if an earlier one with its number had written them.
func dead(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), `"start":"`, `"start":"1`, 1)
}

// noted is how many operations a process that died now would leave to undo.
func noted(t testing.TB, dir string) int {
	t.Helper()
	copied := t.TempDir()
	if err := os.WriteFile(filepath.Join(copied, "1.routes"), []byte(dead(t, notesFile(t, dir))), 0o600); err != nil {
		t.Fatal(err)
	}
	f := new(netconftest.Fake)
	netconf.Recover(f, copied, nil)
	return len(f.Calls())
}

// What notes are undone, and which are not even read: a file that this user did not write could send its routes anywhere.
func TestRecover(t *testing.T) {
	const header, op = `{"pid":1,"start":"0"}` + "\n", `{"did":{"List":true,"Route":{"Dst":"10.50.0.1/32","Via":"10.99.0.1","Metric":-1}}}` + "\n"
	undid := strings.Replace(op, "did", "undid", 1)
	write := func(t *testing.T, path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nobody := func(t *testing.T, path string) {
		if os.Getuid() != 0 {
			t.Skip("only root can give a file away")
		}
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		text   string
		change func(t *testing.T, dir, path string)
		undone int
		kept   bool // with a warning, but for the empty file
	}{
		{name: "whole", text: header + op, undone: 1},
		{name: "taken back", text: header + op + undid},
		{name: "taken back and done again", text: header + op + undid + op, undone: 1},
		{name: "nothing done", text: header},
		{name: "cut short", text: header + op + op[:20], undone: 1},
		{name: "empty", kept: true},
		{name: "no process", text: op, kept: true},
		{name: "no JSON", text: header + "{\n", kept: true},
		{name: "no destination", text: header + `{"did":{}}` + "\n", kept: true},
		{name: "taken back before it was done", text: header + undid, kept: true},
		{name: "two processes", text: header + header, kept: true},
		{name: "of another user", text: header + op, kept: true, change: func(t *testing.T, _, path string) { nobody(t, path) }},
		{name: "writable by others", text: header + op, kept: true, change: func(t *testing.T, _, path string) {
			if err := os.Chmod(path, 0o622); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "link", text: header + op, kept: true, change: func(t *testing.T, _, path string) {
			aside := filepath.Join(t.TempDir(), "aside")
			if err := os.Rename(path, aside); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(aside, path); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "second name", text: header + op, kept: true, change: func(t *testing.T, _, path string) {
			if err := os.Link(path, filepath.Join(t.TempDir(), "aside")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "folder of another user", text: header + op, kept: true, change: func(t *testing.T, dir, _ string) { nobody(t, dir) }},
		{name: "folder writable by others", text: header + op, kept: true, change: func(t *testing.T, dir, _ string) {
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "notes")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "1-0.routes")
			write(t, path, tt.text)
			if tt.change != nil {
				tt.change(t, dir, path)
			}
			f := new(netconftest.Fake)
			warned := false
			netconf.Recover(f, dir, func(_ logging.Level, format string, args ...any) {
				warned = warned || strings.HasPrefix(fmt.Sprintf(format, args...), "WARNING: ")
			})
			_, err := os.Lstat(path)
			if got := len(f.Calls()); got != tt.undone || warned != (tt.kept && tt.text != "") || (err == nil) != tt.kept {
				t.Errorf("%d undone, warned %v, file: %v", got, warned, err)
			}
			if tt.kept && strings.HasPrefix(tt.name, "folder") {
				if _, err := netconf.OpenNotes(dir, nil); err == nil {
					t.Error("notes are made in that folder")
				}
			}
		})
	}
}

// The notes of a process that runs are left alone, be they empty.
func TestRecoverLeavesTheLivingAlone(t *testing.T) {
	dir, f := t.TempDir(), new(netconftest.Fake)
	n := openNotes(t, dir)
	netconf.Recover(f, dir, nil)
	j := netconf.NewJournal(f, n, nil)
	if err := j.AddRoute(route("10.50.0.1/32", "10.99.0.1")); err != nil {
		t.Fatal(err)
	}
	netconf.Recover(f, dir, nil)
	if len(f.Routes()) != 1 || noted(t, dir) != 1 {
		t.Error("the notes of a running process were undone")
	}
}

// Thousands of routes are noted in the time that the kernel takes for them, and do not fill the disk when they come and go.
func TestNotesOfManyRoutes(t *testing.T) {
	dir, f := t.TempDir(), new(netconftest.Fake)
	j := netconf.NewJournal(f, openNotes(t, dir), nil)
	plan := make([]netconf.Op, 8000)
	for i := range plan {
		plan[i] = netconf.Op{List: true, Route: route(fmt.Sprintf("10.%d.%d.0/24", i/250, i%250), "10.8.0.1")}
	}
	began := time.Now()
	for _, op := range plan[:4000] {
		if err := j.AddRoute(op.Route); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("4000 routes took %v", took)
	}
	for i := range 10 {
		j.Become(plan[i*400 : i*400+4000])
	}
	if n := noted(t, dir); n != 4000 {
		t.Errorf("%d routes are noted", n)
	}
	info, err := os.Stat(notesFile(t, dir))
	if err != nil || info.Size() > 4<<20 {
		t.Errorf("the notes take %d bytes, %v", info.Size(), err)
	}
	j.Undo()
	if n := noted(t, dir); n != 0 {
		t.Errorf("%d routes are noted after the end", n)
	}
	if diff := cmp.Diff(0, len(f.Routes())); diff != "" {
		t.Error(diff)
	}
}
