//go:build !nofleet

package jet

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/internal/pause"
)

// retryIn is how long a read waits for a server that is behind.
const retryIn = 10 * time.Millisecond

// stored is a record as a server keeps it.
type stored struct {
	fleet.Record
	gone   bool   // it is the mark of a deletion
	before uint64 // the revision that it replaced
	id     string // of its write
}

// recordsAt asks for the records of some keys, until a server answers that has come to a revision, or to a later one. Keys may be missing in its answer: such
// that have none, and such whose newest record that server is about to take in.
func (s *Store) recordsAt(ctx context.Context, revision uint64, keys ...string) (map[string]stored, error) {
	for {
		one, cancel := context.WithTimeout(ctx, askEvery)
		records, upTo, err := s.records(one, keys)
		cancel()
		if err == nil && (upTo >= revision || len(records) == 0) {
			return records, nil
		}
		if err == nil {
			err = fmt.Errorf("the server is at revision %d, and the store is at %d", upTo, revision)
		}
		if pause.For(ctx, retryIn) != nil {
			return nil, fmt.Errorf("%w (%w)", fleet.ErrAway, err)
		}
	}
}

// records asks a server, any that keeps the bucket, for the newest records of some keys, and returns the revision that it has come to. Where it has none of them
// it does not tell how far it is: upTo is 0 then.
func (s *Store) records(ctx context.Context, keys []string) (found map[string]stored, upTo uint64, err error) {
	subjects := make([]string, len(keys))
	for i, key := range keys {
		subjects[i] = s.subject(key)
	}
	req, err := json.Marshal(map[string]any{"multi_last": subjects})
	if err != nil {
		return nil, 0, err
	}
	answers := make(chan *nats.Msg, len(keys)+1)
	sub, err := s.conn.ChanSubscribe(s.conn.NewInbox(), answers)
	if err != nil {
		return nil, 0, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // of a connection that is closed
	if err := s.conn.PublishRequest("$JS.API.DIRECT.GET."+s.stream(), sub.Subject, req); err != nil {
		return nil, 0, err
	}
	found = make(map[string]stored, len(keys))
	previous := uint64(0)
	for {
		var m *nats.Msg
		select {
		case m = <-answers:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
		switch status := m.Header.Get("Status"); {
		case status == "404":
			return nil, 0, nil
		case status != "" && status != "204":
			return nil, 0, fmt.Errorf("the engine answers %s %s", status, m.Header.Get("Description"))
		case number(m.Header, jetstream.LastSequenceHeader) != previous:
			return nil, 0, fmt.Errorf("an answer of the engine has a gap after revision %d", previous)
		case status == "204":
			upTo = number(m.Header, "Nats-UpTo-Sequence")
			s.known.told(upTo)
			return found, upTo, nil
		}
		r := s.stored(m)
		found[r.Key], previous = r, r.Revision
	}
}

func (s *Store) stored(m *nats.Msg) stored {
	return stored{
		Record: fleet.Record{Key: s.key(m.Header.Get(jetstream.SubjectHeader)), Value: m.Data, Revision: number(m.Header, jetstream.SequenceHeader)},
		gone:   isGone(m.Header),
		before: number(m.Header, jetstream.ExpectedLastSubjSeqHeader),
		id:     m.Header.Get(writeID),
	}
}

// number is a header's, 0 for none.
func number(h nats.Header, name string) uint64 {
	n, _ := strconv.ParseUint(h.Get(name), 10, 64)
	return n
}
