// Package target turns what -a says into management addresses: an address itself, a path, or the name of a daemon that the file of
// targets or the folder of sockets knows.
package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Default is the address used when nothing is named and no socket is found.
const Default = "127.0.0.1:7505"

// RunDir is where the units of the packages put the sockets of their daemons, as NAME.sock.
const RunDir = "/run/moongate"

// Target is one management port.
type Target struct {
	Name     string `toml:"-"`
	Address  string `toml:"address"`  // HOST:PORT, tls://HOST:PORT, a path or ssh://HOST/PATH
	Password string `toml:"password"` // secret reference, "" for none
	CA       string `toml:"ca"`       // files for tls:// addresses
	Cert     string `toml:"cert"`
	Key      string `toml:"key"`
	Source   string `toml:"-"` // the file or folder it comes from, "" for an address as written
}

// Book is where names are looked up.
type Book struct {
	Files  []string // of targets, the first that has a name wins; a file that does not exist is empty
	RunDir string   // of sockets
	Fleet  string   // folder of a fleet's node
}

// New is the book of a process: the user's file, the machine's file, and the folder of sockets (MOONGATE_RUN_DIR in its place).
func New(getenv func(string) string) Book {
	b := Book{RunDir: getenv("MOONGATE_RUN_DIR"), Fleet: FleetDir(getenv)}
	if b.RunDir == "" {
		b.RunDir = RunDir
	}
	if f := UserFile(getenv); f != "" {
		b.Files = append(b.Files, f)
	}
	b.Files = append(b.Files, "/etc/moongate/targets.toml")
	return b
}

// Names are the names of all targets that can be read, for completions.
func (b Book) Names() []string {
	all, _ := b.All()
	names := make([]string, len(all))
	for n, t := range all {
		names[n] = t.Name
	}
	return names
}

// UserFile is moongate/targets.toml in the user's configuration folder, "" without a home.
func UserFile(getenv func(string) string) string {
	dir := getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "moongate", "targets.toml")
}

// ErrAmbiguous means that nothing was named and there is more than one daemon.
var ErrAmbiguous = errors.New("more than one daemon")

// All lists the names: those of the files, then the sockets, each in alphabetical order, a name once.
func (b Book) All() ([]Target, error) {
	var all []Target
	seen := make(map[string]bool)
	add := func(ts []Target) {
		slices.SortFunc(ts, func(x, y Target) int { return strings.Compare(x.Name, y.Name) })
		for _, t := range ts {
			if !seen[t.Name] {
				seen[t.Name] = true
				all = append(all, t)
			}
		}
	}
	for _, f := range b.Files {
		ts, err := read(f)
		if err != nil {
			return nil, err
		}
		add(ts)
	}
	add(b.sockets())
	nodes, _ := b.nodes() // of a fleet that this user may use
	add(nodes)
	return all, nil
}

// sockets are the daemons of the folder of sockets. A folder that cannot be read has none.
func (b Book) sockets() []Target {
	var all []Target
	entries, _ := os.ReadDir(b.RunDir)
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".sock"); ok && e.Type()&os.ModeSocket != 0 {
			all = append(all, Target{Name: name, Address: filepath.Join(b.RunDir, e.Name()), Source: b.RunDir})
		}
	}
	return all
}

// ErrClosed means that a name is not known, and that the folder of sockets, which may have it, is for another user or group.
var ErrClosed = errors.New("permission denied")

// Closed reports whether the folder of sockets is there and is not for this user.
func (b Book) Closed() bool {
	_, err := os.ReadDir(b.RunDir)
	return errors.Is(err, fs.ErrPermission)
}

// Only is the target to use when nothing is named: the only socket, or the default address when there is none. Two sockets are
// ErrAmbiguous, with their names.
func (b Book) Only() (Target, error) {
	switch found := b.sockets(); len(found) {
	case 0:
		return Target{Name: Default, Address: Default}, nil
	case 1:
		return found[0], nil
	default:
		var names []string
		for _, t := range found {
			names = append(names, t.Name)
		}
		return Target{}, fmt.Errorf("%w in %s: choose with -a one of %s", ErrAmbiguous, b.RunDir, strings.Join(names, ", "))
	}
}

// Resolve turns the words of -a into targets, in order, each address once.
func (b Book) Resolve(words []string) ([]Target, error) {
	var all []Target
	for _, w := range words {
		found, err := b.one(w)
		if err != nil {
			return nil, err
		}
		for _, t := range found {
			if !slices.ContainsFunc(all, func(x Target) bool { return x.Address == t.Address }) {
				all = append(all, t)
			}
		}
	}
	return all, nil
}

// one resolves one word.
func (b Book) one(word string) ([]Target, error) {
	if word == FleetName {
		return b.nodes()
	}
	if strings.ContainsAny(word, "/:") {
		t := Target{Name: word, Address: word, Source: b.Fleet}
		if !IsFleet(word) {
			t.Source = ""
		}
		return []Target{t}, t.check()
	}
	known, err := b.All()
	if err != nil {
		return nil, err
	}
	var found []Target
	if strings.ContainsAny(word, "*?[") {
		for _, t := range known {
			ok, err := path.Match(word, t.Name)
			if err != nil {
				return nil, fmt.Errorf("target %q: %w", word, err)
			}
			if ok {
				found = append(found, t)
			}
		}
	} else if i := slices.IndexFunc(known, func(t Target) bool { return t.Name == word }); i >= 0 {
		found = known[i : i+1]
	} else if st, err := os.Stat(word); err == nil && st.Mode()&os.ModeSocket != 0 {
		return []Target{{Name: word, Address: "./" + word}}, nil
	}
	if len(found) == 0 {
		var names []string
		for _, t := range known {
			names = append(names, t.Name)
		}
		have := "no names are known here (moongate targets add NAME ADDRESS)"
		if len(names) > 0 {
			have = "known names are " + strings.Join(names, ", ")
		}
		if b.Closed() && !strings.ContainsAny(word, "*?[") {
			return nil, fmt.Errorf("target %q: no such name in the files of targets, and %s is not for this user (sudo, or its group moongate): %w", word, b.RunDir, ErrClosed)
		}
		return nil, fmt.Errorf("target %q: want HOST:PORT, tls://HOST:PORT, unix:/PATH, a path, ssh://HOST/PATH, fleet://NODE or a name; %s", word, have)
	}
	return found, nil
}

// check refuses an address that can never work.
func (t Target) check() error {
	if IsFleet(t.Address) {
		return pki.CheckName(strings.TrimPrefix(t.Address, fleetScheme))
	}
	if IsSSH(t.Address) {
		_, err := ParseSSH(t.Address)
		return err
	}
	_, err := client.ParseAddr(t.Address)
	return err
}
