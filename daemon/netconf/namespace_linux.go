package netconf

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespace names the network namespace of the process as nothing else is ever named: the number of its file is given
// away again when it ends, its cookie lasts until the machine restarts. Kernels before 5.14 know no cookies.
func Namespace() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	id, err := namespaceCookie()
	if err != nil {
		var st unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
			return "", &os.PathError{Op: "stat", Path: "/proc/thread-self/ns/net", Err: err}
		}
		id = st.Ino
	}
	return fmt.Sprintf("%.8s-%d", strings.TrimSpace(string(boot)), id), nil
}

func namespaceCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
}
