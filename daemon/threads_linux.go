package daemon

import (
	"math"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Units of systemd bound the number of tasks, threads included: TasksMax=10 and LimitNPROC=10 are common. A Go program
// that may not start a thread dies, so that a process with a small limit works on fewer cores and runs fewer scripts at
// once.
const (
	// fewThreads is a limit that wants care.
	fewThreads = 32
	// spareThreads are those besides one a core: the runtime's own, signals, files being written.
	spareThreads = 5
)

// threadLimit is how many threads the process may have, the smaller of its own limit and its control group's.
func threadLimit() int {
	limit := math.MaxInt
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &r); err == nil && r.Cur < math.MaxInt32 {
		limit = int(r.Cur)
	}
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return limit
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		f := strings.SplitN(line, ":", 3)
		if len(f) < 3 || f[1] != "" && f[1] != "pids" {
			continue
		}
		for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/pids"} {
			b, err := os.ReadFile(path.Join(root, f[2], "pids.max"))
			if err != nil {
				continue
			}
			if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
				limit = min(limit, n)
			}
		}
	}
	return limit
}

// fitThreads keeps the process within its limit of threads and returns how many scripts may run at once, 0 for any
// number: each takes a thread of ours, its shell, and what that starts.
func fitThreads(limit int) (scripts int) {
	if limit >= fewThreads {
		return 0
	}
	cores := min(runtime.GOMAXPROCS(0), max((limit-spareThreads)/3, 1))
	runtime.GOMAXPROCS(cores)
	return max((limit-spareThreads-cores)/3, 1)
}
