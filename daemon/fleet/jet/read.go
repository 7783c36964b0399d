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
)

// A follower elects nobody for four seconds after it has heard of its leader. A leader that has heard of a majority within leaderFresh
// is therefore the only one, with a second to spare for the way of the answers.
const leaderFresh = 3 * time.Second

// askEvery is how long a question waits for its answer before it is asked again.
const askEvery = 700 * time.Millisecond

// readsAtOnce is how many records of a list are asked for at a time.
const readsAtOnce = 64

// Get implements [fleet.Store].
func (s *Store) Get(ctx context.Context, key string) (fleet.Record, error) {
	if err := checkKey(key); err != nil {
		return fleet.Record{}, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	before, err := s.info(ctx)
	if err != nil {
		return fleet.Record{}, err
	}
	r, err, gone := s.last(ctx, key)
	if err != nil && !errors.Is(err, fleet.ErrNotFound) {
		return fleet.Record{}, err
	}
	if err := s.stillLeads(ctx, before); err != nil {
		return fleet.Record{}, err
	}
	if err == nil && gone {
		err = fmt.Errorf("%s: %w", key, fleet.ErrNotFound)
	}
	if err != nil {
		return fleet.Record{}, err
	}
	return r, nil
}

// List implements [fleet.Store]. It is for a start, or after lost changes: it asks for each record.
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
	before, err := s.info(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.keys(ctx, s.subject(filter))
	if err != nil {
		return nil, err
	}
	records := make([]fleet.Record, len(keys))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readsAtOnce)
	for i, key := range keys {
		g.Go(func() error {
			r, err, gone := s.last(gctx, key)
			switch {
			case err == nil && !gone:
				records[i] = r
			case err != nil && !errors.Is(err, fleet.ErrNotFound):
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if err := s.stillLeads(ctx, before); err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(r fleet.Record) bool { return r.Key == "" })
	return records, nil
}

// keys are the keys below a subject, of deleted records as well, sorted.
func (s *Store) keys(ctx context.Context, filter string) ([]string, error) {
	var keys []string
	for {
		page, err := s.infoOf(ctx, filter, len(keys))
		if err != nil {
			return nil, err
		}
		for subject := range page.State.Subjects {
			keys = append(keys, s.key(subject))
		}
		if len(page.State.Subjects) == 0 || len(keys) >= page.Total {
			slices.Sort(keys)
			return slices.Compact(keys), nil
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

// stillLeads checks, after answers that do not say whose they are, that the leader is the one before them: then they are its own.
func (s *Store) stillLeads(ctx context.Context, before *streamInfo) error {
	now, err := s.info(ctx)
	if err == nil && (!now.Created.Equal(before.Created) || leaderOf(now) != leaderOf(before)) {
		err = fmt.Errorf("the leader has changed meanwhile: %w", fleet.ErrAway)
	}
	return err
}

func leaderOf(i *streamInfo) string {
	if i.Cluster == nil {
		return ""
	}
	return i.Cluster.Leader
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

// last is the last message of a key, as its leader has it, and whether it says that the record is gone.
func (s *Store) last(ctx context.Context, key string) (r fleet.Record, err error, gone bool) { //nolint:revive,staticcheck // gone belongs to r
	var reply struct {
		Message *struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Header  []byte `json:"hdrs"`
			Data    []byte `json:"data"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := s.ask(ctx, "$JS.API.STREAM.MSG.GET."+s.stream(), map[string]string{"last_by_subj": s.subject(key)}, &reply); err != nil {
		return fleet.Record{}, err, false
	}
	switch m := reply.Message; {
	case reply.Error != nil && reply.Error.ErrorCode == codeNoMessage:
		return fleet.Record{}, fmt.Errorf("%s: %w", key, fleet.ErrNotFound), false
	case reply.Error != nil:
		return fleet.Record{}, fmt.Errorf("%w (%w)", fleet.ErrAway, reply.Error), false
	case m == nil:
		return fleet.Record{}, fmt.Errorf("%w: no message in the answer", fleet.ErrAway), false
	default:
		return fleet.Record{Key: s.key(m.Subject), Value: m.Data, Revision: m.Seq}, nil, isMark(m.Header)
	}
}

// isMark reports whether headers are of a deletion.
func isMark(header []byte) bool {
	h, err := nats.DecodeHeadersMsg(header)
	return err == nil && isGone(h)
}

func isGone(h nats.Header) bool {
	switch op := h.Get(operation); op {
	case operationDelete, "PURGE":
		return true
	default:
		return h.Get("Nats-Marker-Reason") != ""
	}
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
