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
		j.logf(1, "WARNING: cannot write %s: %v", j.path, err)
		j.path = "" // once is enough
	}
}

func (j *Journal) write() error {
	if len(j.ops) == 0 {
		if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(journalFile{PID: os.Getpid(), Start: processStart(os.Getpid()), Ops: j.ops})
	if err != nil {
		return err
	}
	tmp := j.path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, j.path)
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

func readJournal(path string) (journalFile, error) {
	var f journalFile
	data, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, err
	}
	if f.PID <= 0 {
		return f, errors.New("no process number")
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
