package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Give hands the directory of a journal and its files to the user that a daemon becomes, because the daemon makes segments there later. Their
// group stays that of the directory, also for what is made later, so that who may read a journal does not change. Give leaves a directory
// that holds other files as it is, and its error names one of them.
func Give(dir *os.Root, uid int) error {
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		own := strings.HasPrefix(e.Name(), prefix) || strings.HasPrefix(e.Name(), "index.sqlite")
		if !own || !e.Type().IsRegular() {
			return fmt.Errorf("it keeps its owner, as %s in it is not of a journal", e.Name())
		}
	}
	for _, e := range entries {
		err = errors.Join(err, dir.Lchown(e.Name(), uid, -1))
	}
	info, serr := dir.Stat(".")
	if serr != nil {
		return errors.Join(err, serr)
	}
	return errors.Join(err, dir.Chmod(".", info.Mode().Perm()|fs.ModeSetgid), dir.Lchown(".", uid, -1))
}
