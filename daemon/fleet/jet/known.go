//go:build !nofleet

package jet

import (
	"sync"
	"time"
)

// known is the newest revision that a store has told. When a partition is over, acknowledgements that were under way make an old leader
// look like one that has a majority, until it hears of the other; but it lacks what was written since, and a node
// that has written since does not believe it.
type known struct {
	mu      sync.Mutex
	created time.Time // of the stream that revision counts
	rev     uint64
}

// told notes a revision.
func (k *known) told(rev uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rev = max(k.rev, rev)
}

// now returns the revision, for a question to be asked.
func (k *known) now() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rev
}

// covers reports whether a leader's answer has all that was known when it was asked, and takes it in. A younger stream begins anew.
func (k *known) covers(asked uint64, i *streamInfo) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case i.Created.Before(k.created):
		return false
	case i.Created.After(k.created) && !k.created.IsZero():
		k.rev = i.State.LastSeq
	case i.State.LastSeq < asked:
		return false
	}
	k.created, k.rev = i.Created, max(k.rev, i.State.LastSeq)
	return true
}
