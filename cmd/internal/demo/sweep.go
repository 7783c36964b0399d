package demo

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// prefix begins the names of our namespaces; a letter and the number of the process follow.
const prefix = "mgdemo-"

// sweep removes the namespaces of demonstrations that were killed, and the daemons that still run in them.
func sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	left, _ := filepath.Glob("/run/netns/" + prefix + "*")
	for _, path := range left {
		ns := filepath.Base(path)
		owner, err := strconv.Atoi(strings.TrimLeft(strings.TrimPrefix(ns, prefix), "sc"+nodeNS))
		if err != nil || syscall.Kill(owner, 0) == nil {
			continue // not ours, or still playing
		}
		pids, _ := exec.CommandContext(ctx, "ip", "netns", "pids", ns).Output()
		for _, f := range strings.Fields(string(pids)) {
			if pid, err := strconv.Atoi(f); err == nil {
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
		}
		if len(pids) > 0 {
			time.Sleep(time.Second) // a namespace in use outlives its name
		}
		_ = exec.CommandContext(ctx, "ip", "netns", "del", ns).Run()
	}
}
