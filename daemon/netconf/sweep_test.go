//go:build linux

package netconf_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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

// A start removes the empty folders of namespaces, once they are old enough, and nothing else below the root.
func TestSweepFolders(t *testing.T) {
	root := t.TempDir()
	const old = 2 * time.Minute
	for _, tt := range []struct {
		name  string
		age   time.Duration
		mode  os.FileMode
		holds string
		stays bool
	}{
		{name: "863c59ad-1183452", age: old, mode: 0o700},
		{name: "863c59ad-4026531840", age: old, mode: 0o755},
		{name: "863c59ad-1", age: old, mode: 0o700, holds: "1-2.routes", stays: true},
		{name: "863c59ad-2", age: old, mode: 0o700, holds: "x", stays: true},
		{name: "863c59ad-3", mode: 0o700, stays: true}, // its maker is about to write
		{name: "863c59ad-4", age: old, mode: 0o777, stays: true},
		{name: "office", age: old, mode: 0o700, stays: true},
		{name: "863c59ad-", age: old, mode: 0o700, stays: true},
		{name: "863c59ad-5.sock", age: old, mode: 0o700, stays: true},
	} {
		dir := filepath.Join(root, tt.name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if tt.holds != "" {
			if err := os.WriteFile(filepath.Join(dir, tt.holds), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		at := time.Now().Add(-tt.age)
		if err := errors.Join(os.Chmod(dir, tt.mode), os.Chtimes(dir, at, at)); err != nil {
			t.Fatal(err)
		}
		netconf.SweepNotes(root)
		if _, err := os.Lstat(dir); (err == nil) != tt.stays {
			t.Errorf("%+v: it stays: %v", tt, err == nil)
		}
	}

	file, link := filepath.Join(root, "863c59ad-6"), filepath.Join(root, "863c59ad-7")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(t.TempDir(), link), os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0))); err != nil {
		t.Fatal(err)
	}
	netconf.SweepNotes(root)
	for _, path := range []string{file, link} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("what is no folder: %v", err)
		}
	}
}
