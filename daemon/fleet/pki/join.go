package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// Limits of joining.
const (
	// BodyMost is the most bytes of what nodes say to each other.
	BodyMost = 256 << 10
	// JoinPath is where a node asks to join.
	JoinPath = "/join"

	joinWithin = 20 * time.Second
	skewMost   = 2 * time.Minute
)

// joinRequest comes from a node that joins.
type joinRequest struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret"`
	Name    string    `json:"name"`
	Request []byte    `json:"request"` // for a certificate, DER
	Time    time.Time `json:"time"`
}

// joinReply answers it.
type joinReply struct {
	Error    string          `json:"error,omitempty"`
	Fleet    string          `json:"fleet,omitempty"`
	Engine   *Engine         `json:"engine,omitempty"`
	Material *material       `json:"material,omitempty"`
	Roster   json.RawMessage `json:"roster,omitempty"`
}

// ErrRefused says that the fleet does not admit the node, and the text why.
var ErrRefused = errors.New("the fleet refuses")

// Join asks the node that made a token to admit this one, and makes its folder. An empty address of the plan is the one that the
// connection has on this side.
func Join(ctx context.Context, dir string, t Token, p Plan) (*Node, error) {
	if err := CheckName(p.Name); err != nil {
		return nil, err
	}
	n := &Node{Dir: dir, Layout: layout, ID: newID(), Name: p.Name, Listen: p.Listen}
	if err := n.checkListen(); err != nil {
		return nil, err
	}
	if p.Address != "" {
		var err error
		if n.Address, err = WithPort(p.Address); err != nil {
			return nil, err
		}
	}
	at, err := reserve(dir) // before the token is used up
	if err != nil {
		return nil, err
	}
	defer at.giveUp()
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	conn, err := dialPinned(ctx, t)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if n.Address == "" {
		host, _, err := net.SplitHostPort(conn.LocalAddr().String())
		if err != nil {
			return nil, err
		}
		n.Address = net.JoinHostPort(host, strconv.Itoa(portDefault))
	}
	key, csr, err := request(p.Name)
	if err != nil {
		return nil, err
	}
	reply, err := askToJoin(ctx, conn, joinRequest{ID: t.ID, Secret: t.Secret, Name: p.Name, Request: csr, Time: time.Now()})
	if err != nil {
		return nil, err
	}
	if reply.Material == nil || reply.Fleet == "" {
		return nil, errors.New("the fleet's answer is not complete: do both nodes have the same version of moongate?")
	}
	n.Fleet, n.Engine = reply.Fleet, reply.Engine
	return n, n.write(at, reply.Material, key, reply.Roster)
}

// dialPinned connects to a node whose authority has the token's fingerprint. Nothing else is trusted.
func dialPinned(ctx context.Context, t Token) (*tls.Conn, error) {
	d := &tls.Dialer{Config: &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: serverName,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection knows better
		VerifyConnection:   func(cs tls.ConnectionState) error { return verifyPinned(cs.PeerCertificates, t.CA, time.Now()) },
	}}
	conn, err := d.DialContext(ctx, "tcp", t.Address)
	var op *net.OpError
	switch {
	case err == nil:
		return conn.(*tls.Conn), nil
	case errors.As(err, &op) && op.Op == "dial":
		return nil, fmt.Errorf("%w: is the daemon running there, with `fleet` in its configuration, and does a firewall let port %s pass?", err, portOf(t.Address))
	default:
		return nil, fmt.Errorf("%s: %w", t.Address, err)
	}
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

func verifyPinned(chain []*x509.Certificate, pin string, now time.Time) error {
	i := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return fingerprint(c) == pin })
	if i < 0 {
		return errors.New("the node is not of the fleet that made the token")
	}
	roots := x509.NewCertPool()
	roots.AddCert(chain[i])
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: serverName, CurrentTime: now})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return fmt.Errorf("the node's certificate is good from %v to %v, and it is %v here: is the clock right?",
			chain[0].NotBefore.UTC(), chain[0].NotAfter.UTC(), now.UTC().Truncate(time.Second))
	}
	return err
}

// askToJoin sends one request over a connection.
func askToJoin(ctx context.Context, conn net.Conn, r joinRequest) (*joinReply, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	tr := &http.Transport{
		DialTLSContext:    func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true,
	}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+serverName+JoinPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask to join: %w", err)
	}
	defer resp.Body.Close()
	reply := new(joinReply)
	if err := json.NewDecoder(io.LimitReader(resp.Body, BodyMost)).Decode(reply); err != nil {
		return nil, fmt.Errorf("the answer is none of a fleet (%s)", resp.Status)
	}
	if reply.Error != "" {
		return nil, fmt.Errorf("%w: %s", ErrRefused, reply.Error)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s", ErrRefused, resp.Status)
	}
	return reply, nil
}

// Admission answers nodes that join.
type Admission struct {
	// Node is this node.
	Node *Node
	// Check refuses a name.
	Check func(name string) error
	// Admit notes that a node gets a certificate, and returns the roster for it.
	Admit func(name string) (roster json.RawMessage, err error)
	// Now is the clock.
	Now func() time.Time
}

// ServeHTTP implements [http.Handler].
func (a *Admission) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, status := new(joinReply), http.StatusForbidden
	var req joinRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, BodyMost)).Decode(&req); err != nil || r.Method != http.MethodPost {
		reply.Error, status = "this is no request to join", http.StatusBadRequest
	} else if full, err := a.admit(req); err != nil {
		reply.Error = err.Error()
	} else {
		reply, status = full, http.StatusOK
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(reply) //nolint:errcheck // the other end is gone
}

// admit uses an invitation up. Everything that can refuse is asked before.
func (a *Admission) admit(r joinRequest) (*joinReply, error) {
	now, n := a.Now(), a.Node
	path, err := n.findInvite(r.ID, r.Secret, now)
	if err != nil {
		return nil, err
	}
	if skew := r.Time.Sub(now).Abs(); skew > skewMost {
		return nil, fmt.Errorf("the clocks differ by %v: set them, and join again", skew.Round(time.Second))
	}
	if err := CheckName(r.Name); err != nil {
		return nil, err
	}
	if r.Name == n.Name {
		return nil, fmt.Errorf("the fleet has a node %s: choose another --name", r.Name)
	}
	if err := a.Check(r.Name); err != nil {
		return nil, err
	}
	m, err := n.materialFor(r, now)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil { // another one was quicker
		return nil, errNoInvite
	}
	roster, err := a.Admit(r.Name)
	if err != nil {
		return nil, err
	}
	return &joinReply{Fleet: n.Fleet, Engine: n.Engine, Material: m, Roster: roster}, nil
}

func (n *Node) materialFor(r joinRequest, now time.Time) (*material, error) {
	authority, err := n.Authority()
	if err != nil {
		return nil, err
	}
	m := new(material)
	if m.Cert, err = authority.Issue(r.Name, r.Request, now); err != nil {
		return nil, err
	}
	for name, to := range map[string]*[]byte{fileCA: &m.CA, fileCAKey: &m.CAKey, fileToken: &m.Token, fileWrap: &m.Wrap} {
		if *to, err = os.ReadFile(filepath.Join(n.Dir, name)); err != nil {
			return nil, err
		}
	}
	return m, nil
}
