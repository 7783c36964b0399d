//go:build linux

package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
)

// A daemon is killed in the midst of commands: its journal has all that its port had answered a second before, each once and in order, and
// its index, made anew, finds the same.
func TestKilledDaemonKeepsItsHistory(t *testing.T) {
	t.Parallel()
	best := time.Hour
	for range 3 { // a busy disk makes one attempt late
		if best = min(best, historyLostByKill(t)); best <= time.Second {
			return
		}
	}
	t.Errorf("an answer of the port that is %v older than the kill is not in the journal", best)
}

// historyLostByKill returns how long before the kill the first command was answered that the journal lacks.
func historyLostByKill(t *testing.T) time.Duration {
	t.Helper()
	dir := t.TempDir()
	sock, book := filepath.Join(dir, "m.sock"), filepath.Join(dir, "journal")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), exe, //nolint:gosec // this program
		"--dev", "null", "--ifconfig-noexec", "--client", "--remote", "127.0.0.1", "1", "--nobind", "--auth-user-pass", "--ca", "/dev/null",
		"--management", sock, "unix", "--management-hold", "--management-query-passwords", "--journal", book, "--log", filepath.Join(dir, "log"))
	cmd.Env = append(os.Environ(), asDaemon+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	c := manage(t, sock)
	const levels = 12 // of verb, one after the other
	var answered []time.Time
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		do(t, c, "verb", fmt.Sprint(len(answered)%levels))
		answered = append(answered, time.Now())
	}
	killed := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	c.Close()

	find := func() []journal.Event {
		list, err := index.Query(t.Context(), book, index.Filter{Kinds: []string{journal.KindCommand}})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	kept := find()
	if len(kept) > len(answered) {
		t.Fatalf("the journal has %d commands, and the port answered %d", len(kept), len(answered))
	}
	for n, e := range kept {
		if e.Text != fmt.Sprint("verb ", n%levels) {
			t.Fatalf("command %d is %q in the journal", n, e.Text)
		}
	}
	files, err := filepath.Glob(filepath.Join(book, "index.sqlite*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no index: %v", err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if again := find(); !reflect.DeepEqual(again, kept) {
		t.Errorf("the index made anew finds %d commands, and not the same %d", len(again), len(kept))
	}
	if len(kept) == len(answered) {
		return 0
	}
	return killed.Sub(answered[len(kept)])
}
