package peercred

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// The process at the other end of a unix socket is known, and of no other connection.
func TestOf(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells who is at the other end")
	}
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := Of(conn); err != nil || got != (Peer{os.Getpid(), os.Getuid(), os.Getgid()}) {
		t.Errorf("%+v, %v", got, err)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if got, err := Of(a); err == nil {
		t.Errorf("a pipe has credentials: %+v", got)
	}
}
