package node

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

// Caller talks to the nodes of a fleet as the node of a folder would. It is for commands on a node's machine.
type Caller struct {
	folder *pki.Node
	tls    *tls.Config
	client *http.Client
}

// NewCaller reads a node's folder.
func NewCaller(dir string) (*Caller, error) {
	f, err := pki.Load(dir)
	if err != nil {
		return nil, err
	}
	conf, err := f.TLS(nil)
	if err != nil {
		return nil, err
	}
	return &Caller{folder: f, tls: conf, client: clientOf(conf)}, nil
}

// Close closes connections that wait.
func (c *Caller) Close() { c.client.CloseIdleConnections() }

// Self is the folder's node.
func (c *Caller) Self() *pki.Node { return c.folder }

// Members are the nodes that have not left, as the folder knows them, by name.
func (c *Caller) Members() ([]Member, error) {
	r, err := readRoster(c.folder.RosterFile())
	if err != nil {
		return nil, err
	}
	if _, known := r.get(c.folder.Name); !known { // the node has never run
		r.members[c.folder.Name] = Member{Name: c.folder.Name, Address: c.folder.Address, State: Active}
	}
	var there []Member
	for _, m := range r.all() {
		if m.State != Left {
			there = append(there, m)
		}
	}
	return there, nil
}

// Member is a node that has not left.
func (c *Caller) Member(name string) (Member, error) {
	all, err := c.Members()
	if err != nil {
		return Member{}, err
	}
	var names []string
	for _, m := range all {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Member{}, fmt.Errorf("the fleet has no node %s, but %s", name, strings.Join(names, ", "))
}

// Status asks a node.
func (c *Caller) Status(ctx context.Context, m Member) (Status, error) {
	var s Status
	if m.Address == "" {
		return s, errNotYet
	}
	return s, call(ctx, c.client, http.MethodGet, m.Address, pathStatus, nil, &s)
}

var errNotYet = errors.New("it has been admitted, and has not run yet")

// Leave tells a node that a member leaves.
func (c *Caller) Leave(ctx context.Context, at Member, name string) error {
	var t told
	return call(ctx, c.client, http.MethodPost, at.Address, pathLeave, map[string]string{"name": name}, &t)
}

// Manage opens a seat of a node's management port.
func (c *Caller) Manage(ctx context.Context, m Member) (net.Conn, error) {
	seat, _, err := dial(ctx, c.tls, m, pathManage)
	return seat, err
}

// dial opens a connection to a node that is no HTTP any more. The node's certificate has the member's name.
func dial(ctx context.Context, conf *tls.Config, m Member, path string) (net.Conn, *tls.ConnectionState, error) {
	if m.Address == "" {
		return nil, nil, errNotYet
	}
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", pki.TalkAddress(m.Address))
	if err != nil {
		return nil, nil, err
	}
	conn := tls.Client(nc, conf)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // the connection is ours
	if err = conn.HandshakeContext(ctx); err == nil {
		state := conn.ConnectionState()
		if name := state.PeerCertificates[0].Subject.CommonName; name != m.Name {
			err = fmt.Errorf("node %s answers at %s", name, m.Address)
		} else if upgraded, e := upgraded(conn, m, path); e == nil && stop() {
			return upgraded, &state, nil
		} else {
			err = cmp.Or(e, ctx.Err())
		}
	}
	conn.Close()
	return nil, nil, fmt.Errorf("node %s: %w", m.Name, err)
}

func upgraded(conn net.Conn, m Member, path string) (net.Conn, error) {
	req, err := http.NewRequest(http.MethodGet, "https://"+pki.TalkAddress(m.Address)+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", protocols[path])
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return &buffered{Conn: conn, r: r}, nil
}
