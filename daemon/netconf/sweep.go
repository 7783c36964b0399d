package netconf

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// SweepNotes removes what processes left of their notes and nobody will look for again. root holds a folder for each network
// namespace, named by Namespace, and what other programs put there, which stays.
func SweepNotes(root string) {
	sweepFiles(root)
	sweepFolders(root)
}

// sweepFiles removes the notes that killed processes left for network namespaces that have ended: their routes ended with
// them. Notes stay that this user did not write, whose process runs or cannot be seen from here, or whose change of the
// resolvers is not taken back.
func sweepFiles(root string) {
	files, err := filepath.Glob(filepath.Join(root, "*", "*"+notesSuffix))
	if err != nil || len(files) == 0 {
		return
	}
	here := inode("/proc/self/ns/pid")
	if here == 0 {
		return
	}
	live := sync.OnceValue(liveNamespaces) // it looks at all processes: only a note whose own has ended asks
	for _, path := range files {
		if onlyOurs(os.Lstat(filepath.Dir(path))) != nil {
			continue
		}
		process, _, err := readNotes(path)
		switch {
		case err != nil, process.NetNS == 0, process.PIDNS != here:
		case processStart(process.PID) == process.Start:
		case process.Resolver != nil && process.Resolver.Way != "":
		case len(live()) == 0, live()[process.NetNS]:
		default:
			_ = os.Remove(path)
			_ = os.Remove(filepath.Dir(path)) // stays while other notes are in it
		}
	}
}

// namespaceFolder is the form of what Namespace returns.
var namespaceFolder = regexp.MustCompile(`^[0-9a-f]{8}-[0-9]+$`)

// folderAge is the time without a change after which an empty folder counts as left behind. A process writes its notes at once when it has made
// their folder.
const folderAge = time.Minute

// sweepFolders removes empty folders of namespaces. A process that has given up its privileges, or lives in a chroot, cannot do so
// when it ends.
func sweepFolders(root string) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		info, err := os.Lstat(dir)
		if !namespaceFolder.MatchString(e.Name()) || onlyOurs(info, err) != nil || !info.IsDir() || time.Since(info.ModTime()) < folderAge {
			continue
		}
		_ = os.Remove(dir) // stays while something is in it
	}
}

// liveNamespaces are the inodes of the network namespaces that processes or mounts keep, none when they cannot be seen.
func liveNamespaces() map[uint64]bool {
	live := make(map[uint64]bool)
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, err := proc.Readdirnames(0)
	if err != nil {
		return nil
	}
	for _, name := range names { // what is no process has no such link
		if text, err := os.Readlink("/proc/" + name + "/ns/net"); err == nil {
			live[namespaceNumber(text)] = true
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	for l := range bytes.Lines(mounts) {
		if f := strings.Fields(string(l)); len(f) > 3 {
			live[namespaceNumber(f[3])] = true
		}
	}
	delete(live, 0)
	return live
}

// namespaceNumber is the inode in "net:[4026531840]", 0 for any other text.
func namespaceNumber(text string) uint64 {
	number, ok := strings.CutPrefix(text, "net:[")
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// inode is the number of a file, 0 for none.
func inode(path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return uint64(st.Ino) //nolint:unconvert // other systems have other types
}
