package logging_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// A log file that cannot be opened is no reason not to run: the lines go where they went without it.
func TestAFileThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, why := range map[string]string{
		filepath.Join(dir, "nowhere", "log"): "No such file or directory (errno=2)",
		filepath.Join(plain, "log"):          "Not a directory (errno=20)",
		dir:                                  "Is a directory (errno=21)",
	} {
		for _, appending := range []bool{false, true} {
			l, out := open(t, logging.Config{File: path, Append: appending, SuppressTimestamps: true, Verb: 1})
			l.Msg(logging.Info, "hello")
			l.Reopen()
			want := "Warning: Error redirecting stdout/stderr to --log file: " + path + ": " + why + "\nhello\n"
			if got := out.String(); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if l.File() != nil {
				t.Errorf("%s: there is a file", path)
			}
		}
	}
}

// Both ways of rotation: the file is cut while it is open, or renamed and opened anew.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := logging.New(logging.Config{File: path, SuppressTimestamps: true, Verb: 1})
	defer l.Close()
	held := l.File() // as scripts have it
	l.Msg(logging.Info, "%s", strings.Repeat("long ", 200))
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	l.Msg(logging.Info, "after the cut")
	wantFile(t, path, "after the cut\n")

	old := path + ".1"
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	l.Msg(logging.Info, "still the old")
	l.Reopen()
	l.Msg(logging.Info, "the new")
	if _, err := held.WriteString("a script\n"); err != nil {
		t.Fatal(err)
	}
	wantFile(t, old, "after the cut\nstill the old\n")
	wantFile(t, path, "the new\na script\n")

	l.Reopen() // without a rename nothing is lost
	wantFile(t, path, "the new\na script\n")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	var said string
	l.Subscribe(func(e logging.Entry) { said = e.Text })
	l.Reopen()
	if want := "WARNING: cannot open the log file " + path + " again, the old one stays in use: Is a directory (errno=21)"; said != want {
		t.Errorf("got %q, want %q", said, want)
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(b); got != want {
		t.Errorf("%s: got %q, want %q", path, got, want)
	}
}
