//go:build !nofleet

package jet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Limits of the server. What a fleet remembers is some hundred bytes a client.
const (
	memoryMost = 16 << 20
	diskMost   = 256 << 20
	bucketMost = 31 << 20 // some 60,000 clients; NATS keeps a cache of 8 MB in the place of 4 from 32 MB on

	routePing   = 2 * time.Second // a route that a partition left behind is closed after three
	routeWait   = 4 * time.Second // for a write to a route
	startWithin = 10 * time.Second
)

// Engine is a server of NATS within this process and the connection of this process to it, or a connection to a cluster outside.
type Engine struct {
	server *server.Server // nil for a cluster outside
	store  *Store
	system *nats.Conn
}

// Start starts a server, and fails when it cannot listen or use its folder. Others of its cluster need not be there yet: until a majority
// is, the store is away.
func Start(ctx context.Context, cfg Config) (*Engine, error) {
	users := newUsers()
	opts, err := options(cfg, users)
	if err != nil {
		return nil, err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("start the fleet's engine: %w", err)
	}
	lines := &lines{log: cfg.Log.OrDiscard()}
	srv.SetLoggerV2(lines, false, false, false)
	started := make(chan struct{})
	go func() {
		srv.Start()
		close(started)
	}()
	e := &Engine{server: srv}
	if err := waitFor(ctx, srv, started); err != nil {
		e.Close()
		return nil, errors.Join(err, lines.worst())
	}
	users[userSystem].Account = srv.SystemAccount() // which a server has once it has started
	connect := func(user string) (*nats.Conn, error) {
		return nats.Connect("", append(lasting(), nats.InProcessServer(srv), nats.Name(cfg.Name), nats.UserInfo(user, users[user].Password))...)
	}
	conn, err := connect(userFleet)
	if err == nil {
		e.store = newStore(conn, bucket, replicasFor(cfg.Routes), cfg.Log) // Close closes its connection
		e.system, err = connect(userSystem)
	}
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("connect to the fleet's engine: %w", err)
	}
	return e, nil
}

// bucket is the bucket of a server of ours.
const bucket = "fleet"

// replicasFor is how many servers keep the bucket at the start.
func replicasFor(r *Routes) int {
	if r == nil {
		return 1
	}
	return Replicas(len(r.Peers) + 1)
}

// options are the server's. Clients have to log in on a loopback port, although our own connection needs none: without a listener the
// server would never open its routes.
func options(cfg Config, users users) (*server.Options, error) {
	opts := &server.Options{
		ServerName: cfg.Name,
		Host:       "127.0.0.1", Port: server.RANDOM_PORT,
		CustomClientAuthentication: users,
		NoSigs:                     true, NoLog: true,
		MaxConn:             16,
		ConnectErrorReports: 600, ReconnectErrorReports: 600, // attempts, one a second, for a line in the log
		MaxPayload:         128 << 10,
		JetStream:          true,
		StoreDir:           cfg.Dir,
		SyncAlways:         true,
		JetStreamMaxMemory: memoryMost, JetStreamMaxStore: diskMost,
	}
	r := cfg.Routes
	if r == nil {
		return opts, nil
	}
	host, port, err := splitAddress(r.Listen)
	if err != nil {
		return nil, fmt.Errorf("the engine's routes listen on %q: %w", r.Listen, err)
	}
	opts.Cluster = server.ClusterOpts{
		Name: r.Cluster, Host: host, Port: port, Advertise: r.Advertise, NoAdvertise: true, PoolSize: -1,
		TLSConfig: r.TLS, TLSTimeout: 5, PingInterval: routePing, MaxPingsOut: 2, WriteDeadline: routeWait,
	}
	for _, p := range r.Peers {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats-route", Host: p})
	}
	return opts, nil
}

func splitAddress(s string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("%q is no port", p)
	}
	if host == "" {
		host = "::"
	}
	return host, port, nil
}

// lasting are the options of a connection that never gives up, and keeps nothing for later: what cannot be sent now has not been written.
func lasting() []nats.Option {
	return []nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // a watch that falls behind loses changes
	}
}

func waitFor(ctx context.Context, srv *server.Server, started <-chan struct{}) error {
	end := time.Now().Add(startWithin)
	if t, ok := ctx.Deadline(); ok && t.Before(end) {
		end = t
	}
	for !srv.ReadyForConnections(20 * time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return err
		}
		over := time.Now().After(end)
		select {
		case <-started:
			over = over || !srv.Running() // it has given up
		default:
		}
		if over {
			return errors.New("the fleet's engine does not start")
		}
	}
	return nil
}

// Store returns the engine's memory.
func (e *Engine) Store() *Store { return e.store }

// Keeps reports whether the engine keeps what is written. A server of NATS that could not write a file once, because the disk was full, writes none until
// it is started again; meanwhile it is a way to the other servers.
func (e *Engine) Keeps() bool { return e.server == nil || e.server.JetStreamEnabled() }

// Close ends the server. What is written stays in its folder.
func (e *Engine) Close() {
	if e.store != nil {
		e.store.Close()
	}
	if e.system != nil {
		e.system.Close()
	}
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
}
