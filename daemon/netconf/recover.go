package netconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// journalFile is what a killed process leaves: its identity and what it did to the route table. Routes into the tunnel
// vanish with the device; what stays are host routes, and a default route that was deleted.
type journalFile struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // of the process, so that a new one with the same number is told apart
	Ops   []Op   `json:"ops"`
}

const journalSuffix = ".routes.json"

// JournalPath is the file for a process's journal in a folder, with a name Recover finds. name tells several journals of one
// process apart.
func JournalPath(dir, name string) string {
	return filepath.Join(dir, fmt.Sprintf("%d-%s%s", os.Getpid(), name, journalSuffix))
}

// save writes the journal's file, or removes it when nothing is left to undo. The caller holds the lock.
func (j *Journal) save() {
	if j.path == "" {
		return
	}
	if err := j.write(); err != nil {
		verb := 1
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			verb = 4 // after chroot there is nothing to be done about it
		}
		j.logf(verb, "WARNING: cannot write %s: %v", j.path, err)
		j.path = "" // once is enough
	}
}

func (j *Journal) write() error {
	if len(j.ops) == 0 {
		err := os.Remove(j.path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	data, err := json.Marshal(journalFile{PID: os.Getpid(), Start: processStart(os.Getpid()), Ops: j.ops})
	if err != nil {
		return err
	}
	tmp := j.path + ".tmp"
	err = os.WriteFile(tmp, data, 0o600)
	if errors.Is(err, fs.ErrNotExist) && os.MkdirAll(filepath.Dir(tmp), 0o700) == nil {
		err = os.WriteFile(tmp, data, 0o600) // another daemon left and took the empty folder with it
	}
	if errors.Is(err, fs.ErrPermission) {
		return os.WriteFile(j.path, data, 0o600) // the file is ours, the folder is not: see HandOver
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp, j.path)
}

// HandOver makes the journal at path writable for a user without rights to its folder, which then may be entered by
// everybody. That user can do no more with it than the routes in it say, which its CAP_NET_ADMIN allows anyway.
func HandOver(path string, uid, gid int) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chown(uid, gid); err != nil {
		return err
	}
	return os.Chmod(filepath.Dir(path), 0o711) //nolint:gosec // no listing, and every file is its owner's
}

// Recover undoes what journals of processes that no longer run left in dir, and removes their files.
func Recover(n Net, dir string, logf Logf) {
	logf = logf.orDiscard()
	files, err := filepath.Glob(filepath.Join(dir, "*"+journalSuffix))
	if err != nil {
		return // only for a bad pattern
	}
	for _, path := range files {
		f, err := readJournal(path)
		if errors.Is(err, errNoRoutes) {
			_ = os.Remove(path)
			continue
		}
		if err != nil {
			logf(1, "WARNING: cannot read %s: %v", path, err)
			continue
		}
		if start := processStart(f.PID); start != "" && start == f.Start {
			continue
		}
		logf(1, "NOTE: restoring routes of process %d, which ended without doing so", f.PID)
		undoOps(n, f.Ops)
		if err := os.Remove(path); err != nil {
			logf(1, "WARNING: cannot remove %s: %v", path, err)
		}
	}
}

// errNoRoutes is a journal that was left behind with nothing to undo.
var errNoRoutes = errors.New("no routes")

func readJournal(path string) (journalFile, error) {
	var f journalFile
	data, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	if len(data) == 0 {
		return f, errNoRoutes
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, err
	}
	if f.PID <= 0 {
		return f, errors.New("no process number")
	}
	if len(f.Ops) == 0 && processStart(f.PID) != f.Start {
		return f, errNoRoutes
	}
	for _, op := range f.Ops {
		if !op.Route.Dst.IsValid() {
			return f, errors.New("route without destination")
		}
	}
	return f, nil
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
