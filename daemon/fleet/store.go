package fleet

import (
	"context"
	"errors"
)

// Errors of a [Store]. They are matched with [errors.Is].
var (
	// ErrNotFound says that no record has the key.
	ErrNotFound = errors.New("no such record")
	// ErrConflict says that the record is no longer at the revision that the writer read, or that a record to be created exists. Nothing was
	// written, and nothing will be.
	ErrConflict = errors.New("the record has changed")
	// ErrAway says that the store cannot be reached or has no majority; nothing was written.
	ErrAway = errors.New("the fleet's store is away")
	// ErrUnknown says that no answer came in time, or none that can be relied on: the write may have landed, now or later. The writer reads before it tries again.
	ErrUnknown = errors.New("the outcome of a write is not known")
)

// A Record is one key of a [Store] at one revision.
type Record struct {
	// Key has segments separated by dots, each of A-Z, a-z, 0-9, '-', '_' and '='; 256 bytes at most.
	Key string
	// Value is at most 64 KiB; the receiver must not change it.
	Value []byte
	// Revision grows by one with each write to the whole store, deletions included, and is never 0.
	Revision uint64
}

// A Change is news of a [Store.Watch].
type Change struct {
	Record
	// Deleted says that the record is gone; Value is then nil.
	Deleted bool
}

// A Store is the common memory of a fleet's nodes: small records that are only ever created, or replaced or deleted at a
// known revision. It is memory that the nodes can rebuild: no tunnel waits for it.
//
// What is read is never older than what this Store has told before: the revisions of its writes, its reads and its watches. It may be
// older than what others have written since, by a moment after a partition: a reader that must not miss that writes first.
//
// A Store is safe for concurrent use. Each call returns before ctx ends, and a moment after it at the latest.
type Store interface {
	// Get returns the record as a majority of the nodes has it, or ErrNotFound, or ErrAway.
	Get(ctx context.Context, key string) (Record, error)
	// List returns all records below a prefix of whole segments ("node" finds "node.a", "" all), as a majority has them, sorted
	// by key.
	List(ctx context.Context, prefix string) ([]Record, error)
	// Create writes a record that does not exist and returns its revision, or ErrConflict, ErrAway, ErrUnknown.
	Create(ctx context.Context, key string, value []byte) (uint64, error)
	// Update replaces the record that is at revision last and returns the new revision, or ErrConflict, ErrAway, ErrUnknown.
	Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error)
	// Delete removes the record that is at revision last, or returns ErrConflict, ErrAway, ErrUnknown.
	Delete(ctx context.Context, key string, last uint64) error
	// Head returns the revision of the newest write to the whole store as a majority has it, 0 before the first, or ErrAway.
	// A reader that has seen every revision up to the head has seen everything: one small question in the place of a List.
	Head(ctx context.Context) (uint64, error)
	// Watch sends the changes below a prefix, "" for all, from now on, until ctx ends; then it closes the channel. It is a hint
	// that makes nodes quick, not a promise: it may stand still through a partition, and changes may be left out. A reader that
	// falls behind loses changes, never the store's time.
	Watch(ctx context.Context, prefix string) <-chan Change
}
