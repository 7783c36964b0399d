package host

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// confine gives up on this thread what a script does not need, and starts the program anew from it: all threads of the new image
// have what this one has, also in binaries with cgo, where no system call can be made on all threads.
func confine(spec Spec) error {
	runtime.LockOSThread()
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_NOFILE: 256,
		// A backstop far above what the meter allows: Go's heap comes in pieces of 64 MiB.
		unix.RLIMIT_DATA: uint64(2*spec.memory()) + 512<<20, //nolint:gosec // positive
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("limit resource %d: %w", resource, err)
		}
		limit = min(limit, now.Max) // what the daemon itself is limited to stays
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("limit resource %d: %w", resource, err)
		}
	}
	if raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil && 20-raw < courtesy {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, courtesy) // an error costs nothing
	}
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0) // where memory runs out, the script goes before the daemon
	for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
		if unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0) != nil {
			break // without CAP_SETPCAP there is nothing to take
		}
	}
	if spec.GID >= 0 {
		if err := raw(unix.SYS_SETGROUPS, 0); err != nil {
			return fmt.Errorf("drop groups: %w", err)
		}
		if err := raw(unix.SYS_SETGID, spec.GID); err != nil {
			return fmt.Errorf("become group %d: %w", spec.GID, err)
		}
	}
	if spec.UID >= 0 {
		if err := raw(unix.SYS_SETUID, spec.UID); err != nil {
			return fmt.Errorf("become user %d: %w", spec.UID, err)
		}
	}
	var none [2]unix.CapUserData
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("refuse new privileges: %w", err)
	}
	return syscall.Exec("/proc/self/exe", []string{os.Args[0], confined}, os.Environ())
}

// courtesy is the nice value of a script, unless the daemon has a higher one.
const courtesy = 5

// raw makes a system call with one number on this thread alone.
func raw(nr uintptr, n int) error {
	if _, _, errno := unix.RawSyscall(nr, uintptr(n), 0, 0); errno != 0 {
		return errno
	}
	return nil
}
