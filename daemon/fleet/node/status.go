package node

import (
	"context"
	"net/http"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// Status describes a node and the fleet.
type Status struct {
	Fleet   string    `json:"fleet"`
	Name    string    `json:"name"`
	Address string    `json:"address"`
	Time    time.Time `json:"time"`
	Since   time.Time `json:"since"`
	Engine  Engine    `json:"engine"`
	Members []Seen    `json:"members"`
	// Member is the node's part in what the fleet remembers, nil before there is one.
	Member *fleet.Status `json:"member,omitempty"`
	// CertificateEnds is when the node's certificate expires. CertificateError says why a renewal that is due failed.
	CertificateEnds  time.Time `json:"certificate_ends,omitzero"`
	CertificateError string    `json:"certificate_error,omitempty"`
}

// Engine is the state of a node's engine.
type Engine struct {
	// Mode is alone, cluster, outside, or empty while none runs.
	Mode string `json:"mode"`
	// Ready says that the store answers, with a majority.
	Ready bool `json:"ready"`
	// Leader is the node that leads the store, of a cluster.
	Leader string `json:"leader,omitempty"`
	// Error says why the store does not answer.
	Error string `json:"error,omitempty"`
}

// Seen is a member as the node that answers sees it.
type Seen struct {
	Member
	// Heard is when it last answered; zero is never, or the node itself.
	Heard time.Time `json:"heard,omitzero"`
	// SkewMillis is how far its clock is ahead.
	SkewMillis int64 `json:"skew_ms,omitempty"`
	// Error says why it does not answer.
	Error string `json:"error,omitempty"`
}

// engineWithin is how long the store may take to answer for a status.
const engineWithin = 2 * time.Second

// Status asks the engine, for a moment.
func (n *Node) Status(ctx context.Context) Status {
	ctx, cancel := context.WithTimeout(ctx, engineWithin)
	defer cancel()
	s := Status{Fleet: n.folder.Fleet, Name: n.folder.Name, Address: n.folder.Address, Time: time.Now(), Since: n.since}
	var err error
	if s.Engine.Mode, s.Engine.Leader, err = n.Store().leader(ctx); err != nil {
		s.Engine.Error = err.Error()
	}
	s.Engine.Ready = err == nil
	if n.opts.Member != nil {
		s.Member = n.opts.Member()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	ends, err := n.identityEnds()
	s.CertificateEnds = ends
	if err != nil {
		s.CertificateError = err.Error()
	}
	for _, m := range n.roster.all() {
		c := n.told[m.Name]
		seen := Seen{Member: m, Heard: c.at, SkewMillis: c.skew.Milliseconds()}
		if c.err != nil {
			seen.Error = c.err.Error()
		}
		s.Members = append(s.Members, seen)
	}
	return s
}

func (n *Node) sayStatus(w http.ResponseWriter, r *http.Request, _ string) {
	reply(w, n.Status(r.Context()))
}
