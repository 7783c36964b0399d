package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Give hands the directory of a journal and what is in it to the user that a daemon becomes, who has to make segments there. gid -1 leaves
// the group. A directory that holds anything else is not a journal's alone: it stays as it is, and Give says why.
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
