//go:build !nofleet

package jet

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Dial uses a NATS cluster outside. It fails for options that can never work; a cluster that does not answer is away, and tried on.
func Dial(o Outside) (*Engine, error) {
	if o.URL == "" || checkKey(o.Bucket) != nil {
		return nil, errors.New("a NATS cluster outside needs its URL and a bucket")
	}
	log := o.Log.OrDiscard()
	opts := append(lasting(), nats.Name(o.Name), nats.RetryOnFailedConnect(true),
		nats.ConnectHandler(func(c *nats.Conn) { log(logging.At(3), "fleet engine: connected to %s", c.ConnectedUrlRedacted()) }),
		nats.ReconnectHandler(func(c *nats.Conn) { log(logging.At(3), "fleet engine: connected to %s", c.ConnectedUrlRedacted()) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log(logging.At(1), "fleet engine: the connection is lost: %v", err)
			}
		}))
	if o.Credentials != "" {
		opts = append(opts, nats.UserCredentials(o.Credentials))
	}
	if o.TLS != nil {
		opts = append(opts, nats.Secure(o.TLS))
	}
	conn, err := nats.Connect(o.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to the fleet's NATS: %w", err)
	}
	return &Engine{store: newStore(conn, o.Bucket, max(o.Replicas, 1), o.Log)}, nil
}
