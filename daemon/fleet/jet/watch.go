//go:build !nofleet

package jet

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// changesWaiting is how many changes a reader may be behind before it loses some.
const changesWaiting = 4096

// changesOf is where the leader copies what it stores to.
func (s *Store) changesOf(key string) string { return "moongate.changes." + s.name + "." + key }

// Watch implements [fleet.Store]. It listens to the copies that the stream's leader publishes, which costs nothing while nothing changes.
func (s *Store) Watch(ctx context.Context, prefix string) <-chan fleet.Change {
	out := make(chan fleet.Change, changesWaiting)
	filter := ">"
	if prefix != "" {
		filter = prefix + ".>"
	}
	in := make(chan *nats.Msg, changesWaiting)
	sub, err := s.conn.ChanSubscribe(s.changesOf(filter), in)
	if err != nil { // closed
		go func() { <-ctx.Done(); close(out) }()
		return out
	}
	go func() {
		defer close(out)
		defer sub.Unsubscribe() //nolint:errcheck // of a connection that is closed
		for {
			select {
			case m := <-in:
				c := s.change(m)
				s.known.told(c.Revision)
				select {
				case out <- c:
				default:
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func (s *Store) change(m *nats.Msg) fleet.Change {
	c := fleet.Change{Record: fleet.Record{Key: strings.TrimPrefix(m.Subject, s.changesOf("")), Value: m.Data, Revision: number(m.Header, jetstream.SequenceHeader)}}
	if isGone(m.Header) {
		c.Deleted, c.Value = true, nil
	}
	return c
}
