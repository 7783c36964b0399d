package netconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Notes is the file in which the route changes of one process outlive a kill, for Recover. It stays its maker's: a
// process that has given up its user or its root directory writes through the descriptor it opened before. A nil Notes
// notes nothing. One Journal at a time may use it.
//
//	{"pid":1234,"start":"5678"}     the process; start tells it from a later one with its number. "netns" and "pidns" name
//	                                its namespaces, for SweepNotes
//	{"did":{…}}                     an operation, written before it is done
//	{"undid":{…}}                   it did not succeed, or was taken back
//	{"resolver":{…}}                the host's resolvers are about to change; an empty one: they are as before
type Notes struct {
	f      *os.File // nil after an error
	path   string
	header []byte
	lines  int // since the last rewriting
	names  ResolverOp
	logf   logging.Func
}

const notesSuffix = ".routes"

// OpenNotes makes the notes of this process in a folder that only its user may write, creating it where it is missing.
func OpenNotes(dir string, logf logging.Func) (*Notes, error) {
	pid := os.Getpid()
	start := processStart(pid)
	n := &Notes{path: filepath.Join(dir, fmt.Sprintf("%d-%s%s", pid, start, notesSuffix)), logf: logf.OrDiscard()}
	n.header = line(entry{PID: pid, Start: start, NetNS: inode("/proc/thread-self/ns/net"), PIDNS: inode("/proc/self/ns/pid")})
	var err error
	if n.f, err = create(n.path); errors.Is(err, fs.ErrNotExist) {
		n.f, err = create(n.path) // another daemon left and took the empty folder with it
	}
	if err != nil {
		return nil, err
	}
	n.rewrite(nil)
	return n, nil
}

func create(path string) (*os.File, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := onlyOurs(os.Lstat(dir)); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
}

// Close removes the file unless it holds a change that could not be taken back. A process without the right to do so leaves it to the next
// Recover.
func (n *Notes) Close() {
	if n == nil || n.f == nil {
		return
	}
	_ = n.f.Close()
	if n.names.Way != "" {
		return // they could not be restored by now, as without privileges
	}
	_ = os.Remove(n.path)
	_ = os.Remove(filepath.Dir(n.path)) // stays while another daemon has notes in it
	n.f = nil
}

// entry is a line of the file: one of its fields is set.
type entry struct {
	PID   int    `json:"pid,omitempty"`
	Start string `json:"start,omitempty"`
	NetNS uint64 `json:"netns,omitempty"`
	PIDNS uint64 `json:"pidns,omitempty"`
	Did   *Op    `json:"did,omitempty"`
	Undid *Op    `json:"undid,omitempty"`

	Resolver *ResolverOp `json:"resolver,omitempty"`
}

func line(e entry) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // there is nothing in an entry that has no JSON form
	}
	return append(b, '\n')
}

// did notes an operation that is about to be done, undid that it is not in force any more. left lists those in force.
func (n *Notes) did(op Op) { n.write(entry{Did: &op}) }
func (n *Notes) undid(op Op, left []Op) {
	if n == nil {
		return
	}
	if n.lines > rewriteFrom && n.lines > 4*len(left) {
		n.rewrite(left)
		return
	}
	n.write(entry{Undid: &op})
}

// resolver notes which change of the resolvers is in force from now on.
func (n *Notes) resolver(op ResolverOp) {
	if n == nil {
		return
	}
	n.names = op
	n.write(entry{Resolver: &op})
}

// rewriteFrom is how many lines a file has at least before what is over is left out.
const rewriteFrom = 4096

func (n *Notes) write(e entry) {
	if n == nil || n.f == nil {
		return
	}
	n.lines++
	if _, err := n.f.Write(line(e)); err != nil {
		n.failed(err)
	}
}

// rewrite makes the file one of these operations.
func (n *Notes) rewrite(ops []Op) {
	if n == nil || n.f == nil {
		return
	}
	text := slices.Clone(n.header)
	for _, op := range ops {
		text = append(text, line(entry{Did: &op})...)
	}
	n.lines = len(ops)
	if n.names.Way != "" {
		text = append(text, line(entry{Resolver: &n.names})...)
		n.lines++
	}
	err := n.f.Truncate(0)
	if err == nil {
		_, err = n.f.Write(text)
	}
	if err != nil {
		n.failed(err)
	}
}

// failed gives up: half the truth would undo what was never done.
func (n *Notes) failed(err error) {
	n.logf(logging.Info, "WARNING: cannot write %s: %v", n.path, err)
	_ = n.f.Truncate(0)
	_ = n.f.Close()
	n.f = nil
}

// deed identifies what an operation does to the system.
type deed struct {
	delete bool
	route  Route
}

func (op Op) deed() deed { return deed{op.Delete, op.Route} }

// parseNotes returns the process of a file, with the change of resolvers that is in force, and the operations that are. A last line without its end was being
// written when the process died, before its operation was done.
func parseNotes(text []byte) (process entry, ops []Op, err error) {
	first := true
	at := make(map[deed][]int) // indices in all
	var all []*Op
	for number := 1; ; number++ {
		l, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			break
		}
		text = rest
		var e entry
		if err := json.Unmarshal(l, &e); err != nil {
			return process, nil, fmt.Errorf("line %d: %w", number, err)
		}
		switch {
		case first && e.PID > 0 && e.Start != "":
			process = e
		case first:
			return process, nil, errors.New("line 1: no process")
		case e.Resolver != nil:
			process.Resolver = e.Resolver
		case e.Did != nil && e.Did.Route.Dst.IsValid():
			at[e.Did.deed()] = append(at[e.Did.deed()], len(all))
			all = append(all, e.Did)
		case e.Undid != nil && len(at[e.Undid.deed()]) > 0:
			d := e.Undid.deed()
			last := len(at[d]) - 1
			all[at[d][last]] = nil
			at[d] = at[d][:last]
		default:
			return process, nil, fmt.Errorf("line %d: no change of a route", number)
		}
		first = false
	}
	for _, op := range all {
		if op != nil {
			ops = append(ops, *op)
		}
	}
	return process, ops, nil
}

// onlyOurs reports an error unless a file or folder belongs to this user, has the kind that its name says and is no link, and no
// other user may write it.
func onlyOurs(info os.FileInfo, err error) error {
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || int(st.Uid) != os.Geteuid():
		return errors.New("belongs to another user")
	case info.Mode().Perm()&0o022 != 0:
		return errors.New("is writable by other users")
	case !info.IsDir() && (!info.Mode().IsRegular() || st.Nlink != 1):
		return errors.New("is not an ordinary file")
	}
	return nil
}
