package netconf

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Recover undoes what the notes of processes that no longer run say, and removes their files. It believes only files
// that belong to this user and that no other user could write, in a folder of the same kind.
func Recover(n Net, dir string, logf logging.Func) {
	logf = logf.OrDiscard()
	files, err := filepath.Glob(filepath.Join(dir, "*"+notesSuffix))
	if err != nil || len(files) == 0 {
		return // an error only for a bad pattern
	}
	if err := onlyOurs(os.Lstat(dir)); err != nil {
		logf(logging.Info, "WARNING: the notes about routes in %s are not used: the folder %v", dir, err)
		return
	}
	for _, path := range files {
		process, ops, err := readNotes(path)
		if err != nil {
			logf(logging.Info, "WARNING: cannot read %s: %v; remove it after a look at the routes", path, err)
			continue
		}
		if process.Start == "" || processStart(process.PID) == process.Start {
			continue // it runs, or has just made the file
		}
		if len(ops) > 0 {
			logf(logging.Info, "NOTE: restoring routes of process %d, which ended without doing so", process.PID)
			undoOps(n, ops)
		}
		if op := process.Resolver; op != nil && op.Way != "" {
			logf(logging.Info, "NOTE: restoring resolvers of process %d, which ended without doing so", process.PID)
			if err := new(ResolverHost).undo(context.Background(), *op); err != nil && op.Way != wayResolved {
				logf(logging.Info, "WARNING: cannot restore resolvers: %v", err)
			}
		}
		if err := os.Remove(path); err != nil {
			logf(logging.Info, "WARNING: cannot remove %s: %v", path, err)
		}
	}
}

// maxNotes bounds what is read of a file, in bytes: more than any list of routes takes.
const maxNotes = 64 << 20

func readNotes(path string) (process entry, ops []Op, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return process, nil, err
	}
	defer f.Close()
	if err := onlyOurs(f.Stat()); err != nil {
		return process, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxNotes+1))
	if err != nil {
		return process, nil, err
	}
	if len(text) > maxNotes {
		return process, nil, fmt.Errorf("longer than %d bytes", maxNotes)
	}
	return parseNotes(text)
}

// processStart is the start time of a process in clock ticks since boot, "" when there is none. It is field 22 of
// /proc/PID/stat, counted from the end of the name, which may hold anything.
func processStart(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || string(fields[0]) == "Z" {
		return ""
	}
	return string(fields[19])
}
