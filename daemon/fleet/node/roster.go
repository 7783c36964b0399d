package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

// State is how far a member of a fleet has come.
type State string

// States.
const (
	Admitted State = "admitted" // has its certificate, and has not been heard of
	Active   State = "active"
	Left     State = "left" // for good, unless it is admitted again
)

func (s State) rank() int { return slices.Index([]State{Admitted, Active, Left}, s) }

// Member is a node of a fleet as the others know it.
type Member struct {
	Name string `json:"name"`
	// Address is HOST:PORT of its engine, "" before it has been heard of.
	Address string `json:"address,omitempty"`
	State   State  `json:"state"`
	// ID is of the folder that the node runs from. A node that is lost and joins again has another one.
	ID string `json:"id,omitempty"`
	// Gone are the ids that the name had before, the last ones.
	Gone []string `json:"gone,omitempty"`
	// Version grows with each change of the member. The higher one is true.
	Version uint64 `json:"version"`
}

// newer reports whether m replaces o. Of two changes at the same time the one that goes further wins, so that all nodes agree.
func (m Member) newer(o Member) bool {
	if m.Version != o.Version {
		return m.Version > o.Version
	}
	if m.State != o.State {
		return m.State.rank() > o.State.rank()
	}
	return m.Address > o.Address
}

// excludes reports whether a folder of the member's name is out: the member has left, or has another folder by now.
func (m Member) excludes(id string) bool { return m.State == Left || slices.Contains(m.Gone, id) }

// Bounds of a roster.
const (
	membersMost = 256
	goneMost    = 8
)

// servers are the names in the engine that the member had and has no longer.
func (m Member) servers() []string {
	gone := m.Gone
	if m.State == Left && m.ID != "" {
		gone = append(slices.Clone(gone), m.ID)
	}
	names := make([]string, len(gone))
	for i, id := range gone {
		names[i] = pki.ServerName(m.Name, id)
	}
	return names
}

// roster lists the fleet's nodes, as far as this one knows them. It does not depend on the engine: nodes tell each other, and the newer of two entries
// replaces the older.
type roster struct {
	path string

	mu      sync.Mutex
	members map[string]Member
}

// readRoster reads a roster; a file that does not exist is empty.
func readRoster(path string) (*roster, error) {
	r := &roster{path: path, members: make(map[string]Member)}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	} else if err != nil {
		return nil, err
	}
	var all []Member
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, m := range all {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		r.members[m.Name] = m
	}
	return r, nil
}

func (m Member) check() error {
	if err := pki.CheckName(m.Name); err != nil {
		return err
	}
	if m.State.rank() < 0 {
		return fmt.Errorf("member %s has the state %q", m.Name, m.State)
	}
	if len(m.ID) > 32 || len(m.Gone) > goneMost || (m.ID == "") != (m.Address == "") {
		return fmt.Errorf("member %s is not complete", m.Name)
	}
	if m.Address == "" && m.State != Active {
		return nil
	}
	_, err := pki.WithPort(m.Address)
	return err
}

// all are the members, by name.
func (r *roster) all() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sorted()
}

func (r *roster) sorted() []Member {
	all := make([]Member, 0, len(r.members))
	for _, m := range r.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (r *roster) get(name string) (Member, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.members[name]
	return m, ok
}

// merge takes in what another node knows, and reports whether that is news. Entries that no node writes are left out.
func (r *roster) merge(others []Member) (news bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range others {
		have, known := r.members[m.Name]
		if m.check() != nil || known && !m.newer(have) || !known && len(r.members) >= membersMost {
			continue
		}
		r.members[m.Name] = m
		news = true
	}
	if news {
		err = r.save()
	}
	return news, err
}

// set changes a member, and reports whether it has changed. One that leaves keeps its address and id.
func (r *roster) set(name, address, id string, s State) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, known := r.members[name]
	next := Member{Name: name, Address: address, State: s, ID: id, Gone: m.Gone, Version: m.Version + 1}
	if s == Left {
		next.Address, next.ID = m.Address, m.ID
	} else if m.ID != "" && m.ID != id {
		next.Gone = append(slices.Clone(m.Gone), m.ID)
		next.Gone = next.Gone[max(0, len(next.Gone)-goneMost):]
	}
	if err := next.check(); err != nil {
		return false, err
	}
	if m.Address == next.Address && m.State == s && m.ID == next.ID {
		return false, nil
	}
	if !known && len(r.members) >= membersMost {
		return false, fmt.Errorf("the fleet has %d members already", len(r.members))
	}
	r.members[name] = next
	return true, r.save()
}

// save writes the file. r.mu is held.
func (r *roster) save() error {
	b, err := json.MarshalIndent(r.sorted(), "", "  ")
	if err != nil {
		return err
	}
	return pki.WriteFile(r.path, append(b, '\n'))
}
