package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A File is the configuration of a client that all nodes have: what a file of client-config-dir would hold.
type File struct {
	// Name is the common name, DEFAULT for clients without a file, or "" for lines that every client gets.
	Name string `json:"name"`
	Text string `json:"text"`
	By   string `json:"by,omitempty"`
}

// A Revocation keeps a certificate out of all nodes.
type Revocation struct {
	// Serial is the certificate's number in decimal digits.
	Serial string `json:"serial"`
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// Shared is the configuration that all nodes have.
type Shared struct {
	Files       []File       `json:"files"`
	Revocations []Revocation `json:"revocations"`
	Bans        []Ban        `json:"bans"`
}

// Limits of a File.
const (
	// FileMost is the most text, in bytes.
	FileMost = 32 << 10
	keyMost  = 256
)

func fileKey(name string) string      { return Key(kindFile, name) }
func revokedKey(serial string) string { return Key(kindRevoked, serial) }

// currents are the records of a kind, by key.
func (m *Member) currents(kind string) []*entry {
	list := slices.DeleteFunc(m.mirror.below(kind), func(e *entry) bool { return m.words[e.Key] != nil })
	for key, w := range m.words {
		if strings.HasPrefix(key, kind+".") && w.entry != nil {
			list = append(list, w.entry)
		}
	}
	slices.SortFunc(list, func(a, b *entry) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// File is the text for a client's name, as this node knows it: also while the store is away.
func (m *Member) File(name string) (text string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.none(kindFile) {
		return "", false
	}
	f := as[File](m.current(fileKey(name)))
	if f == nil {
		return "", false
	}
	return f.Text, true
}

// SetFile gives all nodes a file, in the place of the one that they have. It counts for logins from now on; after ErrLater at this node, and at
// the others when the store is back.
func (m *Member) SetFile(ctx context.Context, f File) error {
	switch key := fileKey(f.Name); {
	case len(f.Text) > FileMost:
		return fmt.Errorf("%d bytes; a file has %d at most", len(f.Text), FileMost)
	case len(key) > keyMost:
		return errors.New("the name is too long")
	default:
		return m.tell(ctx, key, encode(f))
	}
}

// RemoveFile takes a file away, or returns ErrNotFound. After ErrLater it is gone here, and at the others when the store is back.
func (m *Member) RemoveFile(ctx context.Context, name string) error {
	return m.untell(ctx, fileKey(name))
}

// Revoke keeps a certificate out of all nodes, and ends its sessions.
func (m *Member) Revoke(ctx context.Context, r Revocation) error {
	if r.Serial == "" || strings.Trim(r.Serial, "0123456789") != "" || len(r.Serial) > 64 {
		return fmt.Errorf("%q is no serial number", r.Serial)
	}
	return m.tell(ctx, revokedKey(r.Serial), encode(r))
}

// Unrevoke lets a certificate in again, or returns ErrNotFound. After ErrLater it does so here, and at the others when the store is back.
func (m *Member) Unrevoke(ctx context.Context, serial string) error {
	return m.untell(ctx, revokedKey(serial))
}

// expelRevoked ends the clients of a certificate.
func (m *Member) expelRevoked(r *Revocation) {
	if r == nil {
		return
	}
	for _, s := range m.sessions {
		if s.Serial == r.Serial {
			m.expel(s, Revoked)
		}
	}
}

// Shared is the configuration that all nodes have, as this one knows it.
func (m *Member) Shared() Shared {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Shared{Files: values[File](m.currents(kindFile)), Revocations: values[Revocation](m.currents(kindRevoked)), Bans: []Ban{}}
	for _, b := range values[Ban](m.currents(kindBan)) {
		if b.inForce(time.Now()) {
			s.Bans = append(s.Bans, b)
		}
	}
	return s
}

// values are those of entries; the list is never nil.
func values[T any](list []*entry) []T {
	all := []T{}
	for _, e := range list {
		if v := as[T](e); v != nil {
			all = append(all, *v)
		}
	}
	return all
}
