package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// mayEnter reports an error unless the user that the process becomes may enter a folder and those above it.
func (p *privileges) mayEnter(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		st, ok := info.Sys().(*syscall.Stat_t)
		own := ok && int(st.Uid) == p.uid && mode&0o100 != 0
		group := ok && int(st.Gid) == p.gid && mode&0o010 != 0
		if !own && !group && mode&0o001 == 0 {
			return fmt.Errorf("user %s may not enter %s: give it the right (chmod o+x), or put the node's folder elsewhere", p.user, dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}
