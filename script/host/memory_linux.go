package host

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetStart gives back what only the start needed: pages of the heap, and the pages of the program that Go's runtime read to check its tables. Those
// are the file's own, so that one that is needed again comes from there. An error costs nothing but memory.
func forgetStart() {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); { // 00400000-01717000 r-xp 00000000 fe:00 10029599    /usr/bin/moongate
		var from, to uintptr
		var perms string
		if !strings.HasSuffix(in.Text(), " "+exe) {
			continue
		}
		if n, _ := fmt.Sscanf(in.Text(), "%x-%x %s", &from, &to, &perms); n == 3 && strings.HasPrefix(perms, "r-") { // never what can be written: that is ours alone
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}
