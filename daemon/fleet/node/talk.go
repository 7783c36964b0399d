package node

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt/httplimit"
)

// Limits of the listener for talk.
const (
	connsMost   = 256
	seatsMost   = 96 // commands, and a relay of each node
	headWithin  = 5 * time.Second
	bodyWithin  = 20 * time.Second
	idleAtMost  = time.Minute
	closeWithin = 2 * time.Second
)

// Paths of talk.
const (
	pathTell    = "/roster"
	pathStatus  = "/status"
	pathLeave   = "/leave"
	pathManage  = "/manage"
	pathRelay   = "/relay"
	pathHistory = "/history"
)

// protocols has the names of the protocols that connections switch to, by path.
var protocols = map[string]string{pathManage: "moongate-management", pathRelay: "moongate-relay", pathHistory: "moongate-history"}

// told is the message of one node to another.
type told struct {
	Time    time.Time `json:"time"`
	Members []Member  `json:"members"`
}

// serve answers other nodes, and those that join, until ctx ends.
func (n *Node) serve(ctx context.Context, ln net.Listener) {
	conf := n.tls.Clone()
	conf.ClientAuth = tls.VerifyClientCertIfGiven // those that join have none
	conf.NextProtos = []string{"http/1.1"}        // a connection can become a seat
	mux := http.NewServeMux()
	mux.Handle("POST "+pki.JoinPath, &pki.Admission{Node: n.folder, Check: n.checkNew, Admit: n.admit, Now: time.Now})
	mux.Handle("POST "+pathTell, byNode(n.takeTold))
	mux.Handle("GET "+pathStatus, byNode(n.sayStatus))
	mux.Handle("POST "+pathLeave, byNode(n.takeLeave))
	mux.Handle("GET "+pathManage, byNode(func(w http.ResponseWriter, r *http.Request, peer string) {
		n.become(w, r, peer, n.opts.Manage != nil, func(conn net.Conn) { n.opts.Manage(ctx, conn) })
	}))
	mux.Handle("GET "+pathRelay, byNode(func(w http.ResponseWriter, r *http.Request, peer string) {
		n.become(w, r, peer, n.opts.Relay != nil, func(conn net.Conn) { n.opts.Relay(conn, r.TLS, peer) })
	}))
	mux.Handle("GET "+pathHistory, byNode(func(w http.ResponseWriter, r *http.Request, peer string) {
		n.become(w, r, peer, n.opts.History != nil, func(conn net.Conn) { n.tellHistory(ctx, conn) })
	}))
	err := httplimit.Serve(ctx, ln, mux, httplimit.Limits{
		Connections: connsMost, Head: headWithin, Request: bodyWithin, Answer: bodyWithin, HeaderBytes: 8 << 10, Leave: closeWithin, TLS: conf,
	})
	if ctx.Err() == nil {
		n.log(logging.At(1), "fleet: no longer listening for other nodes: %v", err)
		<-ctx.Done()
	}
	n.seated.Wait()
}

// byNode serves requests of nodes only.
func byNode(f func(w http.ResponseWriter, r *http.Request, peer string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			fail(w, http.StatusForbidden, errors.New("this is for nodes of the fleet"))
			return
		}
		f(w, r, r.TLS.VerifiedChains[0][0].Subject.CommonName)
	})
}

func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) //nolint:errcheck // the other end is gone
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the other end is gone
}

func body(w http.ResponseWriter, r *http.Request, v any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, pki.BodyMost)).Decode(v); err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("the request: %w", err))
		return false
	}
	return true
}

// checkNew refuses a name that a node has.
func (n *Node) checkNew(name string) error {
	if m, known := n.roster.get(name); known && m.State == Active {
		return fmt.Errorf("the fleet has a node %s: choose another --name, or remove the lost node first (moongate fleet leave --lost %s)", name, name)
	}
	return nil
}

// admit notes that a node has got its certificate.
func (n *Node) admit(name string) (json.RawMessage, error) {
	if _, err := n.roster.set(name, "", "", Admitted); err != nil {
		return nil, err
	}
	n.log(logging.At(1), "fleet: node %s is admitted", name)
	n.changed()
	return json.Marshal(n.roster.all())
}

func (n *Node) takeTold(w http.ResponseWriter, r *http.Request, peer string) {
	var t told
	if body(w, r, &t) {
		n.merge(t.Members, peer)
		reply(w, told{Time: time.Now(), Members: n.roster.all()})
	}
}

// merge takes in what a node knows. What others say of this node is corrected, unless they say that it has left.
func (n *Node) merge(members []Member, peer string) {
	news, err := n.roster.merge(members)
	if err != nil {
		n.log(logging.At(1), "fleet: keep the roster: %v", err)
	}
	if m, _ := n.roster.get(n.folder.Name); !n.isOut() && n.mayCorrect(m, peer) {
		corrected, err := n.roster.set(n.folder.Name, n.folder.Address, n.folder.ID, Active)
		if err != nil {
			n.log(logging.At(1), "fleet: keep the roster: %v", err)
		}
		news = news || corrected
	}
	if news {
		n.log(logging.At(3), "fleet: news of the members, from node %s", peer)
		n.changed()
		n.store.look()
	}
}

// mayCorrect reports whether what others say of this node may be corrected now. Two processes of one folder, as a copied machine has them, would
// correct each other without an end: each waits, and says so.
func (n *Node) mayCorrect(m Member, peer string) bool {
	if m.Address == n.folder.Address && m.ID == n.folder.ID && m.State == Active {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	first := n.corrected.IsZero()
	if !first && time.Since(n.warned) > correctEvery {
		n.warned = time.Now()
		n.log(logging.Warn, "fleet: node %s says that node %s is at %s, and this one at %s has its name: does another machine run with a copy of %s?",
			peer, m.Name, m.Address, n.folder.Address, n.folder.Dir)
	}
	if !first && time.Since(n.corrected) < correctEvery {
		return false
	}
	n.corrected = time.Now()
	return true
}

// look tells the engine's owner that the roster has changed.
func (s *store) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (n *Node) takeLeave(w http.ResponseWriter, r *http.Request, peer string) {
	var req struct {
		Name string `json:"name"`
	}
	if !body(w, r, &req) {
		return
	}
	if err := n.leave(req.Name, peer); err != nil {
		fail(w, http.StatusConflict, err)
		return
	}
	reply(w, told{Time: time.Now(), Members: n.roster.all()})
}

// leave notes that a member has left, and tells the others.
func (n *Node) leave(name, by string) error {
	m, known := n.roster.get(name)
	if !known || m.State == Left {
		return fmt.Errorf("the fleet has no node %s", name)
	}
	if _, err := n.roster.set(name, m.Address, m.ID, Left); err != nil {
		return err
	}
	n.log(logging.At(1), "fleet: node %s leaves, says node %s", name, by)
	n.tellNow(context.Background(), true)
	n.changed()
	n.store.look()
	return nil
}

// become turns a request into a connection of another protocol, if this daemon serves it.
func (n *Node) become(w http.ResponseWriter, r *http.Request, peer string, serves bool, serve func(net.Conn)) {
	upgrade := protocols[r.URL.Path]
	switch {
	case n.hasLeft(peer):
		fail(w, http.StatusForbidden, fmt.Errorf("node %s has left the fleet", peer))
	case !serves:
		fail(w, http.StatusNotFound, fmt.Errorf("this daemon does not serve %s", upgrade))
	case r.Header.Get("Upgrade") != upgrade:
		fail(w, http.StatusUpgradeRequired, errors.New("this becomes another protocol"))
	case n.seats.Add(1) > seatsMost:
		n.seats.Add(-1)
		fail(w, http.StatusServiceUnavailable, errors.New("too many connections at a time"))
	default:
		defer n.seats.Add(-1)
		n.seated.Add(1) // before the server knows nothing of the connection any more
		defer n.seated.Done()
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Time{}); err != nil {
			return
		}
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", upgrade); err != nil {
			return
		}
		serve(&buffered{Conn: conn, r: buf.Reader})
	}
}

// buffered is a connection of which some bytes have been read already.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// tellAll tells every member what this node knows, again and again.
func (n *Node) tellAll(ctx context.Context) {
	for {
		n.tellNow(ctx, false)
		n.renewAuthority(ctx)
		n.renew(ctx)
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		case <-time.After(tellEvery):
		}
	}
}

// tellNow tells the members that are due, or all of them.
func (n *Node) tellNow(ctx context.Context, all bool) {
	var due []Member
	n.mu.Lock()
	for _, m := range n.roster.all() {
		c := n.told[m.Name]
		if m.Name == n.folder.Name || m.Address == "" || m.State == Left && !all {
			continue
		}
		if all || c.due || c.err != nil || time.Since(c.at) > tellAtRest {
			due = append(due, m)
		}
	}
	n.mu.Unlock()
	answers := make(chan struct{}, len(due))
	for _, m := range due {
		go func() {
			n.tell(ctx, m)
			answers <- struct{}{}
		}()
	}
	for range due {
		<-answers
	}
}

func (n *Node) tell(ctx context.Context, m Member) {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	var answer told
	begin := time.Now()
	err := call(ctx, n.client, http.MethodPost, m.Address, pathTell, told{Time: begin, Members: n.roster.all()}, &answer)
	c := contact{err: err}
	if err == nil {
		c.at = time.Now()
		c.skew = answer.Time.Sub(begin.Add(time.Since(begin) / 2))
	}
	n.mu.Lock()
	before := n.told[m.Name]
	if err != nil {
		c.at = before.at
	}
	n.told[m.Name] = c
	n.mu.Unlock()
	if err == nil {
		n.merge(answer.Members, m.Name)
	}
}

// clientOf is for talk with other nodes.
func clientOf(conf *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: conf.Clone(), MaxIdleConnsPerHost: 1, MaxConnsPerHost: 4, IdleConnTimeout: idleAtMost - 5*time.Second, Proxy: nil,
		ResponseHeaderTimeout: bodyWithin,
	}}
}

// call asks a node at the address of its engine.
func call(ctx context.Context, c *http.Client, method, address, path string, in, out any) error {
	var b io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		b = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+pki.TalkAddress(address)+path, b)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, pki.BodyMost))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// refusal reads what fail has written at the other end.
func refusal(resp *http.Response) error {
	var e struct {
		Error string `json:"error"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, pki.BodyMost)).Decode(&e) != nil || e.Error == "" {
		e.Error = resp.Status
	}
	return errors.New(e.Error)
}
