package config

import (
	"path/filepath"
	"sync/atomic"
)

// Jail is the root that option chroot asks for. Some options mean paths inside it; until the root has changed those lie below it, and
// a file of the same path outside is another file. A nil Jail is no jail.
type Jail struct {
	root    string
	entered atomic.Bool
}

// newJail is the jail of a process that is not in it yet; nil without a root.
func newJail(root string) *Jail {
	if root == "" {
		return nil
	}
	return &Jail{root: root}
}

// Path is where a path that means inside the jail leads now. An empty path stays empty.
func (j *Jail) Path(path string) string {
	if j == nil || path == "" || j.entered.Load() {
		return path
	}
	return filepath.Join(j.root, path)
}

// Enter says that the root has changed.
func (j *Jail) Enter() {
	if j != nil {
		j.entered.Store(true)
	}
}
