//go:build !nofleet

package jet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Limits of records.
const (
	keyMost   = 256
	valueMost = 64 << 10
	callMost  = 10 * time.Second // for a call whose context has no deadline
	markTTL   = time.Hour        // of a deletion's mark
)

// Store is a bucket of a NATS server. It is a [fleet.Store].
type Store struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	name     string // the bucket's
	log      logging.Func
	replicas atomic.Int32
	marks    time.Duration // how long marks of deletions stay
	known    known
	check    chan struct{}
	stop     context.CancelFunc
	done     sync.WaitGroup
}

var _ fleet.Store = (*Store)(nil)

func newStore(conn *nats.Conn, bucket string, replicas int, log logging.Func) *Store {
	js, err := jetstream.New(conn)
	if err != nil {
		panic(err) // only options fail, and there are none
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{conn: conn, js: js, name: bucket, log: log.OrDiscard(), marks: markTTL, check: make(chan struct{}, 1), stop: stop}
	s.replicas.Store(int32(replicas)) //nolint:gosec // 1 to 5
	s.done.Go(func() { s.keep(ctx) })
	return s
}

// Close ends the connection. Calls that wait end with ErrAway or ErrUnknown.
func (s *Store) Close() {
	s.stop()
	s.conn.Close()
	s.done.Wait()
}

// Create implements [fleet.Store].
func (s *Store) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	last := uint64(0)
	for range 3 {
		rev, there, err := s.write(ctx, key, value, last, nil)
		if !errors.Is(err, fleet.ErrConflict) || there.Revision > 0 && !there.gone {
			return rev, err
		}
		last = there.Revision // of the mark of a deletion, which stands in the way, or of none that was there
	}
	return 0, fmt.Errorf("create %s: %w", key, fleet.ErrConflict)
}

// Update implements [fleet.Store].
func (s *Store) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	if last == 0 {
		return 0, fmt.Errorf("update %s: revision 0: %w", key, fleet.ErrConflict)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	rev, _, err := s.write(ctx, key, value, last, nil)
	return rev, err
}

// Delete implements [fleet.Store]. It leaves a mark, which tells the watches and goes after an hour.
func (s *Store) Delete(ctx context.Context, key string, last uint64) error {
	if last == 0 {
		return fmt.Errorf("delete %s: revision 0: %w", key, fleet.ErrConflict)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	_, _, err := s.write(ctx, key, nil, last, nats.Header{
		jetstream.MsgTTLHeader: {s.marks.String()}, operation: {operationDelete},
	})
	return err
}

// checkRecord holds a record to the limits of [fleet.Record].
func checkRecord(key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > valueMost {
		return fmt.Errorf("record %s has %d bytes, more than %d", key, len(value), valueMost)
	}
	return nil
}

func checkKey(key string) error {
	if key == "" || len(key) > keyMost {
		return fmt.Errorf("a key has %d bytes, and not 1 to %d", len(key), keyMost)
	}
	for seg := range strings.SplitSeq(key, ".") {
		if seg == "" || strings.Trim(seg, keyBytes) != "" {
			return fmt.Errorf("%q is no key: segments of A-Z, a-z, 0-9, '-', '_' and '=' between dots", key)
		}
	}
	return nil
}

const keyBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="

func (s *Store) stream() string            { return "KV_" + s.name }
func (s *Store) subject(key string) string { return "$KV." + s.name + "." + key }
func (s *Store) key(subject string) string { return strings.TrimPrefix(subject, "$KV."+s.name+".") }

// bounded gives a call without a deadline one.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callMost)
}
