//go:build !nofleet

package jet

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

const (
	keepSoon  = 250 * time.Millisecond // until the bucket is there
	keepEvery = 30 * time.Second
	keepWait  = 5 * time.Second
)

// Replicas is how many of a fleet's nodes keep the bucket: all of three, five of more.
func Replicas(nodes int) int {
	switch {
	case nodes >= 5:
		return 5
	case nodes >= 3:
		return 3
	default:
		return max(nodes, 1)
	}
}

// SetReplicas changes how many servers keep the bucket, soon.
func (s *Store) SetReplicas(n int) {
	if s.replicas.Swap(int32(n)) == int32(n) { //nolint:gosec // 1 to 5
		return
	}
	select {
	case s.check <- struct{}{}:
	default:
	}
}

// keep makes the bucket, and holds its number of replicas, until ctx ends.
func (s *Store) keep(ctx context.Context) {
	said := false
	for {
		wait := keepEvery
		ok, err := s.ensure(ctx)
		switch {
		case err != nil:
			wait = keepSoon
			s.log(logging.Debug(7), "fleet engine: the store: %v", err)
		case ok && !said:
			s.log(logging.At(3), "fleet engine: the store is here")
		}
		said = ok
		select {
		case <-ctx.Done():
			return
		case <-s.check:
		case <-time.After(wait):
		}
	}
}

// ensure reports whether the bucket is as it should be, after it has made it so.
func (s *Store) ensure(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, keepWait)
	defer cancel()
	want := int(s.replicas.Load())
	i, err := s.anyInfo(ctx, "", 0)
	var api *jetstream.APIError
	switch {
	case err == nil && i.Config.Replicas == want && i.Config.AllowDirect:
		return true, nil
	case err == nil:
		_, err = s.js.UpdateStream(ctx, s.config(want))
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		_, err = s.js.CreateStream(ctx, s.config(want))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return true, nil // another node was first
		}
	}
	return err == nil, err
}

// config is the layout of a key-value bucket with one value a key, which each server reads out and whose changes are copied.
func (s *Store) config(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              s.stream(),
		Subjects:          []string{s.subject(">")},
		MaxMsgsPerSubject: 1,
		MaxBytes:          bucketMost,
		MaxMsgSize:        valueMost + 4096,
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		AllowRollup:       true,
		AllowDirect:       true,
		DenyDelete:        true,
		AllowMsgTTL:       true,
		Duplicates:        time.Second, // no write has an id of NATS
		RePublish:         &jetstream.RePublish{Source: s.subject(">"), Destination: s.changesOf(">")},
	}
}
