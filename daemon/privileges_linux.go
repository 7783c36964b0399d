package daemon

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lockMemory keeps the memory of the process out of the swap.
func lockMemory() error { return syscall.Mlockall(syscall.MCL_CURRENT | syscall.MCL_FUTURE) }

// canKeepCapabilities reports why this binary cannot make system calls in all its threads, before anything depends on it.
func canKeepCapabilities() error {
	if err := allThreads(unix.SYS_PRCTL, unix.PR_GET_KEEPCAPS, 0, 0); errors.Is(err, errCgo) {
		return fmt.Errorf("CAP_NET_ADMIN would be lost: %w; build with CGO_ENABLED=0, or start without the option user", err)
	}
	return nil
}

var errCgo = errors.New("a binary built with cgo cannot keep it in all its threads")

// keepCapabilities makes every thread keep its permitted capabilities over setuid.
func keepCapabilities() error { return allThreads(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0) }

// onlyNetAdmin leaves CAP_NET_ADMIN in the effective and permitted sets of every thread, and nothing else.
func onlyNetAdmin() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	data[0].Effective = 1 << unix.CAP_NET_ADMIN
	data[0].Permitted = 1 << unix.CAP_NET_ADMIN
	err := allThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])), 0)
	runtime.KeepAlive(&hdr)
	runtime.KeepAlive(&data)
	return err
}

// allThreads makes a system call that works on a thread on all of them. A binary with cgo cannot.
func allThreads(nr, a, b, c uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall(nr, a, b, c)
	if errno == syscall.ENOTSUP {
		return errCgo
	}
	if errno != 0 {
		return errno
	}
	return nil
}
