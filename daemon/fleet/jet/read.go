//go:build !nofleet

package jet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/internal/pause"
)

// A follower elects nobody for four seconds after it has heard of its leader. A leader that has heard of a majority within leaderFresh
// is therefore the only one, with a second to spare for the way of the answers.
const leaderFresh = 3 * time.Second

// askEvery is how long a question waits for its answer before it is asked again.
const askEvery = 700 * time.Millisecond

// A list asks for recordsAtOnce records in one question, and has readsAtOnce questions under way.
const (
	recordsAtOnce = 64
	readsAtOnce   = 4
)

// Get implements [fleet.Store].
func (s *Store) Get(ctx context.Context, key string) (fleet.Record, error) {
	if err := checkKey(key); err != nil {
		return fleet.Record{}, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	r, err := s.newest(ctx, key)
	if err == nil && r.gone {
		err = fmt.Errorf("%s: %w", key, fleet.ErrNotFound)
	}
	if err != nil {
		return fleet.Record{}, err
	}
	return r.Record, nil
}

// newest is a key's record or the mark of its deletion. The leader tells how far the store is, and whether it has the key; the record may come from any server that
// is as far. Both are answers of one server each, for there may be two leaders.
func (s *Store) newest(ctx context.Context, key string) (stored, error) {
	for {
		i, err := s.infoOf(ctx, s.subject(key), 0)
		if err != nil {
			return stored{}, err
		}
		if len(i.State.Subjects) == 0 {
			return stored{}, fmt.Errorf("%s: %w", key, fleet.ErrNotFound)
		}
		records, err := s.recordsAt(ctx, i.State.LastSeq, key)
		if err != nil {
			return stored{}, err
		}
		if r, ok := records[key]; ok {
			return r, nil
		}
		if pause.For(ctx, retryIn) != nil {
			return stored{}, fmt.Errorf("%w: %s is there and is not found", fleet.ErrAway, key)
		}
	}
}

// List implements [fleet.Store].
func (s *Store) List(ctx context.Context, prefix string) ([]fleet.Record, error) {
	filter := ">"
	if prefix != "" {
		if err := checkKey(prefix); err != nil {
			return nil, err
		}
		filter = prefix + ".>"
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	keys, head, err := s.keys(ctx, s.subject(filter))
	if err != nil {
		return nil, err
	}
	records := make([]fleet.Record, len(keys))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readsAtOnce)
	for first := 0; first < len(keys); first += recordsAtOnce {
		some := keys[first:min(first+recordsAtOnce, len(keys))]
		g.Go(func() error { return s.list(gctx, head, some, records[first:]) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(records, func(r fleet.Record) bool { return r.Key == "" }), nil
}

// list reads records of a store that is at a revision.
func (s *Store) list(ctx context.Context, head uint64, keys []string, into []fleet.Record) error {
	records, err := s.recordsAt(ctx, head, keys...)
	if err != nil {
		return err
	}
	for i, key := range keys {
		r, ok := records[key]
		if !ok {
			if r, err = s.newest(ctx, key); err != nil && !errors.Is(err, fleet.ErrNotFound) {
				return err
			}
		}
		if !r.gone {
			into[i] = r.Record
		}
	}
	return nil
}

// keys are the keys below a subject, of deleted records as well, sorted; head is a revision that they are not older than.
func (s *Store) keys(ctx context.Context, filter string) (keys []string, head uint64, err error) {
	for {
		page, err := s.infoOf(ctx, filter, len(keys))
		if err != nil {
			return nil, 0, err
		}
		if len(keys) == 0 {
			head = page.State.LastSeq
		}
		for subject := range page.State.Subjects {
			keys = append(keys, s.key(subject))
		}
		if len(page.State.Subjects) == 0 || len(keys) >= page.Total {
			slices.Sort(keys)
			return slices.Compact(keys), head, nil
		}
	}
}

// Head implements [fleet.Store].
func (s *Store) Head(ctx context.Context) (uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	i, err := s.info(ctx)
	if err != nil {
		return 0, err
	}
	return i.State.LastSeq, nil
}

// streamInfo describes a stream, in its leader's words.
type streamInfo struct {
	jetstream.StreamInfo
	Total int                 `json:"total"` // subjects
	Error *jetstream.APIError `json:"error"`
}

// info asks the stream's leader, and checks that no other leader can have been elected.
func (s *Store) info(ctx context.Context) (*streamInfo, error) { return s.infoOf(ctx, "", 0) }

// infoOf is info with the subjects that a filter lets through, from an offset on.
func (s *Store) infoOf(ctx context.Context, subjects string, offset int) (*streamInfo, error) {
	asked := s.known.now()
	i, err := s.anyInfo(ctx, subjects, offset)
	if err != nil {
		return nil, err
	}
	if c := i.Cluster; c != nil && !hasMajority(c) {
		return nil, fmt.Errorf("the leader has not heard of a majority: %w", fleet.ErrAway)
	}
	if !s.known.covers(asked, i) {
		return nil, fmt.Errorf("an old leader answers: %w", fleet.ErrAway)
	}
	return i, nil
}

// anyInfo asks for the description of a server that believes to be the leader.
func (s *Store) anyInfo(ctx context.Context, subjects string, offset int) (*streamInfo, error) {
	var req any
	if subjects != "" {
		req = map[string]any{"subjects_filter": subjects, "offset": offset}
	}
	i := new(streamInfo)
	if err := s.ask(ctx, "$JS.API.STREAM.INFO."+s.stream(), req, i); err != nil {
		return nil, err
	}
	if i.Error != nil {
		return nil, fmt.Errorf("%w (%w)", fleet.ErrAway, i.Error)
	}
	return i, nil
}

// hasMajority reports whether the leader has heard of enough others to be the only one.
func hasMajority(c *jetstream.ClusterInfo) bool {
	heard := 1
	for _, p := range c.Replicas {
		if p.Active > 0 && p.Active < leaderFresh {
			heard++
		}
	}
	return 2*heard > len(c.Replicas)+1
}

// askAgain asks until there is an answer: a server that has no leader, or learns of one, leaves questions without any.
func (s *Store) askAgain(ctx context.Context, subject string, data []byte) (*nats.Msg, error) {
	for {
		one, cancel := context.WithTimeout(ctx, askEvery)
		m, err := s.conn.RequestWithContext(one, subject, data)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return m, err
		}
	}
}

// ask asks the server. All its errors are ErrAway: a question changes nothing.
func (s *Store) ask(ctx context.Context, subject string, req, reply any) error {
	var data []byte
	if req != nil {
		var err error
		if data, err = json.Marshal(req); err != nil {
			return err
		}
	}
	m, err := s.askAgain(ctx, subject, data)
	if err != nil {
		return fmt.Errorf("%w (%w)", fleet.ErrAway, err)
	}
	if err := json.Unmarshal(m.Data, reply); err != nil {
		return fmt.Errorf("%w: the answer to %s is %.100q", fleet.ErrAway, strings.TrimPrefix(subject, "$JS.API."), m.Data)
	}
	return nil
}
