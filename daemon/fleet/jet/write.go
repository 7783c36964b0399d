//go:build !nofleet

package jet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/internal/pause"
)

// Headers of a record.
const (
	operation       = "KV-Operation" // the mark of a deletion, as all NATS clients write it
	operationDelete = "DEL"
	writeID         = "Moongate-Write" // one for each write, so that it is told from an equal one
)

// A refused write is sent again a few times when the store is still as the writer knows it.
const (
	sendsMost = 4
	underWay  = 5 * time.Millisecond // for another write of the record to be done
)

// write publishes a record if the key's last revision is last. A conflict returns what is there.
//
// After a partition an old leader answers beside the new one for a moment, and the first answer wins. It cannot write, but what it refuses
// the new one may write, or has. So after a refusal the record tells.
func (s *Store) write(ctx context.Context, key string, value []byte, last uint64, header nats.Header) (rev uint64, there stored, err error) {
	if err := checkRecord(key, value); err != nil {
		return 0, stored{}, err
	}
	if header == nil {
		header = nats.Header{}
	}
	id := rand.Text()
	header.Set(writeID, id)
	header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
	for sent := 1; sent <= sendsMost; sent++ {
		rev, refused, err := s.publish(ctx, &nats.Msg{Subject: s.subject(key), Header: header, Data: value})
		switch {
		case err != nil:
			return 0, stored{}, fmt.Errorf("write %s: %w", key, err)
		case refused == nil:
			s.known.told(rev)
			return rev, stored{}, nil
		case refused.ErrorCode != codeWrongLast:
			_ = pause.For(ctx, underWay)
		}
		known, named := s.known.now(), names(refused)
		var r stored
		if named > last {
			r, err = s.since(ctx, key, named)
		} else {
			r, err = s.newest(ctx, key)
		}
		switch {
		case err != nil && !errors.Is(err, fleet.ErrNotFound):
			return 0, stored{}, fmt.Errorf("write %s: %w (%w, and then %w)", key, fleet.ErrUnknown, refused, err)
		case r.id == id:
			return r.Revision, stored{}, nil
		case r.Revision > last && (r.before == last || named > last), r.Revision < last && last <= known:
			return 0, r, fmt.Errorf("write %s: %w", key, fleet.ErrConflict)
		case r.Revision != last: // others have written since, perhaps over ours
			return 0, stored{}, fmt.Errorf("write %s: %w (%w)", key, fleet.ErrUnknown, refused)
		}
	}
	return 0, stored{}, fmt.Errorf("write %s: %w: refused %d times", key, fleet.ErrUnknown, sendsMost)
}

// since returns a key's record at a revision that a server has named, or at a later one. It asks one question less than newest.
func (s *Store) since(ctx context.Context, key string, revision uint64) (stored, error) {
	records, err := s.recordsAt(ctx, revision, key)
	if err != nil {
		return stored{}, err
	}
	if r, ok := records[key]; ok {
		return r, nil
	}
	return s.newest(ctx, key) // what was there has gone
}

// names is the record's revision that a refusal names, 0 for none.
func names(refused *jetstream.APIError) uint64 {
	if refused.ErrorCode != codeWrongLast {
		return 0
	}
	_, n, _ := strings.Cut(refused.Description, ": ")
	rev, _ := strconv.ParseUint(n, 10, 64)
	return rev
}

// publish sends a record once. The server's refusal is no error.
func (s *Store) publish(ctx context.Context, m *nats.Msg) (rev uint64, refused *jetstream.APIError, err error) {
	reply, err := s.conn.RequestMsgWithContext(ctx, m)
	switch {
	case notSent(err):
		return 0, nil, fleet.ErrAway
	case err != nil:
		return 0, nil, fmt.Errorf("%w (%w)", fleet.ErrUnknown, err)
	}
	var ack struct {
		Sequence uint64              `json:"seq"`
		Error    *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil || ack.Error == nil && ack.Sequence == 0 {
		return 0, nil, fmt.Errorf("%w: the answer is %.100q", fleet.ErrUnknown, reply.Data)
	}
	return ack.Sequence, ack.Error, nil
}

// notSent reports whether an error says that a request has not left us, or that nobody took it.
func notSent(err error) bool {
	return slices.ContainsFunc([]error{
		nats.ErrNoResponders, nats.ErrReconnectBufExceeded, nats.ErrConnectionClosed, nats.ErrConnectionReconnecting, nats.ErrConnectionDraining,
		nats.ErrInvalidConnection, nats.ErrHeadersNotSupported, // by a connection that was never there
		nats.ErrMaxPayload,
	}, func(e error) bool { return errors.Is(err, e) })
}

// codeWrongLast is JetStream's code of a conflict with a write that is done. One that is under way has another.
const codeWrongLast jetstream.ErrorCode = 10071

func isGone(h nats.Header) bool {
	switch op := h.Get(operation); op {
	case operationDelete, "PURGE":
		return true
	default:
		return h.Get("Nats-Marker-Reason") != ""
	}
}
