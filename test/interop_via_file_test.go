//go:build linux

package test

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// watched are the events of files in a folder, "NAME EVENT", from now until the result is called.
func watched(t *testing.T, dir string) func() []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	kinds := map[uint32]string{
		unix.IN_CREATE: "created", unix.IN_OPEN: "opened", unix.IN_MODIFY: "written", unix.IN_CLOSE_WRITE: "closed", unix.IN_MOVED_TO: "moved there",
	}
	mask := uint32(0)
	for kind := range kinds {
		mask |= kind
	}
	if _, err := unix.InotifyAddWatch(fd, dir, mask); err != nil {
		t.Fatal(err)
	}
	return func() (events []string) {
		b := make([]byte, 64<<10)
		n, err := unix.Read(fd, b)
		if err != nil {
			t.Fatal(err)
		}
		for b = b[:n]; len(b) >= unix.SizeofInotifyEvent; {
			kind, length := binary.NativeEndian.Uint32(b[4:]), int(binary.NativeEndian.Uint32(b[12:]))
			name := string(b[unix.SizeofInotifyEvent : unix.SizeofInotifyEvent+length])
			events = append(events, strings.TrimRight(name, "\x00")+" "+kinds[kind])
			b = b[unix.SizeofInotifyEvent+length:]
		}
		return events
	}
}

// The password for a script (via-file) goes through the descriptor that made the file: another user of the folder cannot put a
// file of its own in between and read it.
func TestViaFileIsWrittenAsItIsMade(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tmp := l.file("tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	verify := l.script(t, "verify.sh", `{ read -r u; read -r p; } <"$1"; [ "$u/$p" = alice/secret ]`)
	for name, program := range programs {
		s := program(t, l.server, l.serverArgs("--tmp-dir", tmp, "--script-security", "2", "--auth-user-pass-verify", verify, "via-file"))
		s.WaitLine(t, up, upLimit)
		events := watched(t, tmp)
		l.logIn(t, s, "alice", "secret")
		var of []string
		for _, e := range events() {
			if file, what, _ := strings.Cut(e, " "); strings.HasPrefix(file, "openvpn_up_") {
				of = append(of, what)
			}
		}
		t.Logf("%s: %v", name, of)
		if name == "ours" && !slices.Equal(of[:min(4, len(of))], []string{"created", "opened", "written", "closed"}) {
			t.Errorf("the file is %v", of)
		}
		terminate(t, s)
	}
}
