//go:build !nofleet

package jet

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// Forget removes servers from the cluster whose nodes have left, so that they do not count for a majority. It needs a majority itself,
// and does nothing when there is nothing to do.
func (e *Engine) Forget(ctx context.Context, gone []string) error {
	if e.server == nil || len(gone) == 0 || !e.server.JetStreamIsLeader() {
		return nil // another node's turn
	}
	z, err := e.server.Jsz(nil)
	if err != nil || z.Meta == nil {
		return err
	}
	for _, p := range z.Meta.Replicas {
		if slices.IndexFunc(gone, func(name string) bool { return peerID(name) == p.Peer }) < 0 {
			continue
		}
		if err := e.remove(ctx, p.Peer); err != nil {
			return fmt.Errorf("remove %s from the engine: %w", p.Name, err)
		}
	}
	return nil
}

// peerID is the id of a server in a cluster: the hash of its name, which the others know after a restart too.
func peerID(name string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(name))
	id := sum[:8]
	for i := range id {
		id[i] = digits[int(id[i])%len(digits)]
	}
	return string(id)
}

func (e *Engine) remove(ctx context.Context, id string) error {
	req, err := json.Marshal(map[string]string{"peer_id": id})
	if err != nil {
		return err
	}
	m, err := e.system.RequestWithContext(ctx, "$JS.API.SERVER.REMOVE", req)
	if err != nil {
		return err
	}
	var reply struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &reply); err != nil {
		return err
	}
	if reply.Error != nil {
		return reply.Error
	}
	return nil
}

// Leader names the server that leads the bucket, or returns ErrAway.
func (s *Store) Leader(ctx context.Context) (string, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	i, err := s.info(ctx)
	switch {
	case err != nil:
		return "", err
	case i.Cluster == nil || i.Cluster.Leader == "":
		return "", errors.New("the engine does not name its leader")
	default:
		return i.Cluster.Leader, nil
	}
}

// Replicas is how many other servers keep the bucket and are up to date.
func (s *Store) Replicas(ctx context.Context) (int, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	i, err := s.info(ctx)
	if err != nil || i.Cluster == nil {
		return 0, err
	}
	current := 0
	for _, p := range i.Cluster.Replicas {
		if !p.Current || p.Offline {
			return 0, fmt.Errorf("%s is not up to date", p.Name)
		}
		current++
	}
	return current, nil
}
