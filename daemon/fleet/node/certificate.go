package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// clockMost is how far other nodes' clocks may be off for a renewal: a certificate of a wrong clock is good for nobody.
const clockMost = 2 * time.Minute

// warnEvery is how often people hear of a certificate that is not renewed.
const warnEvery = 24 * time.Hour

// authorityEvery is how often the authority's end is looked at.
const authorityEvery = time.Hour

// certificate is the state of a node's certificate.
type certificate struct {
	err    error     // of the last attempt to renew it
	warned time.Time // when its end was last in the log
	looked time.Time // when the authority's end was last looked at
}

// renewAuthority renews the fleet's authority when its end is years away.
func (n *Node) renewAuthority(ctx context.Context) {
	n.mu.Lock()
	due := time.Since(n.cert.looked) > authorityEvery
	if due {
		n.cert.looked = time.Now()
	}
	n.mu.Unlock()
	if !due {
		return
	}
	switch renewed, err := n.folder.RenewAuthority(ctx, time.Now()); {
	case ctx.Err() != nil:
	case err != nil:
		n.log(logging.Warn, "fleet: the fleet's authority is not renewed: %v", err)
	case renewed:
		n.log(logging.At(1), "fleet: the fleet's authority is renewed at node %s; it counts from the next start on", n.folder.Name)
	}
}

// identityEnds is when the node's connections to others end, and what keeps that from being put off.
func (n *Node) identityEnds() (time.Time, error) {
	cert, trust := n.folder.Ends(), n.folder.TrustEnds()
	if time.Until(trust) < pki.WarnBefore && trust.Before(cert) {
		return trust, errors.New("the daemon has run since before the fleet's authority was renewed: restart it")
	}
	return cert, n.cert.err
}

// renew renews the node's certificate when its end is near. tellAll calls it again and again.
func (n *Node) renew(ctx context.Context) {
	ends := n.folder.Ends()
	if time.Until(ends) > pki.RenewBefore {
		return
	}
	err := n.folder.Renew(ctx, time.Now(), func(conf *tls.Config) error { return n.proven(ctx, conf) })
	if ctx.Err() != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cert.err = err
	switch {
	case err == nil:
		n.log(logging.At(1), "fleet: the certificate of node %s is renewed, until %s", n.folder.Name, n.folder.Ends().Format(time.DateOnly))
	case time.Until(ends) < pki.WarnBefore && time.Since(n.cert.warned) > warnEvery:
		n.cert.warned = time.Now()
		n.log(logging.Warn, "fleet: the certificate of node %s ends on %s, and is not renewed: %v", n.folder.Name, ends.Format(time.DateOnly), err)
	}
}

// proven reports whether another node accepts a certificate, if there are any, and none's clock says something else than ours.
func (n *Node) proven(ctx context.Context, conf *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, 2*tellWithin)
	defer cancel()
	client := clientOf(conf)
	defer client.CloseIdleConnections()
	var why error
	others := 0
	for _, m := range n.roster.all() {
		if m.Name == n.folder.Name || m.State != Active {
			continue
		}
		others++
		n.mu.Lock()
		c := n.told[m.Name]
		n.mu.Unlock()
		var s Status
		err := c.err
		switch {
		case c.err == nil && c.at.IsZero():
			err = errors.New("it has not answered yet")
		case c.err == nil && c.skew.Abs() > clockMost:
			return fmt.Errorf("the clock of node %s is %v ahead: set the clocks", m.Name, c.skew.Round(time.Second))
		case c.err == nil:
			if err = call(ctx, client, http.MethodGet, m.Address, pathStatus, nil, &s); err == nil {
				return nil
			}
		}
		why = errors.Join(why, fmt.Errorf("node %s: %w", m.Name, err))
	}
	if others == 0 {
		return nil
	}
	return fmt.Errorf("no other node has accepted a new one: %w", why)
}
