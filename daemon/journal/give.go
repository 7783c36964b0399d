package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Give hands the directory of a journal and its files to the user that a daemon becomes, because the daemon makes segments there later. gid -1
// leaves the group. Give leaves a directory that holds other files as it is, and its error names one of them.
func Give(dir *os.Root, uid, gid int) error {
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
		err = errors.Join(err, dir.Lchown(e.Name(), uid, gid))
	}
	return errors.Join(err, dir.Lchown(".", uid, gid))
}
