package daemon

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// With user a binary that would lose CAP_NET_ADMIN does not start; any other does. Which of the two this one is depends on how the
// tests are built (go test -race has cgo).
func TestUserNeedsCapabilitiesInAllThreads(t *testing.T) {
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0)
	cgo := errors.Is(errno, syscall.ENOTSUP)
	err := new(privileges).lookup("nobody", "", "")
	switch {
	case cgo && (err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0")):
		t.Errorf("a binary with cgo starts with user: %v", err)
	case !cgo && err != nil:
		t.Error(err)
	}
	if err := new(privileges).lookup("root", "", ""); err != nil { // root has all
		t.Error(err)
	}
	if err := new(privileges).lookup("", "", ""); err != nil {
		t.Error(err)
	}
}
