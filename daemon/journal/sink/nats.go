//go:build !nofleet

package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

// natsLimit bounds one delivery of a batch.
const natsLimit = 10 * time.Second

type subject struct {
	conn *nats.Conn
	name string
}

// NewNATS returns a sink that publishes each event as JSON to a subject of the NATS servers at an address. The servers have taken a batch when they have
// answered behind it; before, it is published again. Each message has an id of its own (Nats-Msg-Id), by which a stream of JetStream leaves out
// what it has already. credentials is a file, "" for none. Servers that are not there are tried on.
func NewNATS(address, name, credentials string, log func(format string, args ...any)) (*Sink, error) {
	return newNATS(address, name, credentials, log, pauses{time.Second, time.Minute})
}

func newNATS(address, name, credentials string, log func(format string, args ...any), p pauses) (*Sink, error) {
	pool, err := x509.SystemCertPool() // now: a chroot has none
	if err != nil {
		return nil, err
	}
	opts := []nats.Option{
		nats.Name("moongate journal"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
	}
	if strings.HasPrefix(address, "tls:") {
		opts = append(opts, nats.Secure(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
	}
	if credentials != "" {
		opts = append(opts, nats.UserCredentials(credentials))
	}
	conn, err := nats.Connect(address, opts...)
	if err != nil {
		return nil, err
	}
	return newSink("NATS subject "+name, &subject{conn, name}, log, p), nil
}

func (s *subject) put(ctx context.Context, id string, batch []journal.Event) (taken int, err error) {
	ctx, cancel := context.WithTimeout(ctx, natsLimit)
	defer cancel()
	if !s.conn.IsConnected() {
		return 0, nats.ErrDisconnected
	}
	for n, e := range batch {
		data, err := json.Marshal(e)
		if err != nil {
			return 0, &neverError{err}
		}
		// A batch of which a part was taken keeps its ids: they count from its end.
		m := &nats.Msg{Subject: s.name, Data: data, Header: nats.Header{nats.MsgIdHdr: {id + "-" + strconv.Itoa(len(batch)-n)}}}
		if err := s.conn.PublishMsg(m); err != nil {
			return 0, err
		}
	}
	if err := s.conn.FlushWithContext(ctx); err != nil {
		return 0, fmt.Errorf("no answer: %w", err)
	}
	return len(batch), nil
}

// Close ends the connection.
func (s *subject) Close() error {
	s.conn.Close()
	return nil
}
