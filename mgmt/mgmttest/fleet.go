package mgmttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// fleetNode plays a node of a fleet: it keeps the orders that it gets, and refuses lines that start with "bad".
type fleetNode struct {
	name string

	mu      sync.Mutex // guards what follows
	away    bool       // the others do not hear of orders
	files   map[string]string
	revoked map[string]string
	bans    map[server.FleetOrder]string // reasons, by whom they are about
}

func newFleetNode(name string) *fleetNode {
	return &fleetNode{name: name, files: make(map[string]string), revoked: make(map[string]string), bans: make(map[server.FleetOrder]string)}
}

func (f *fleetNode) setAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

// Fleet implements server.Fleeter.
func (c *Controller) Fleet() server.FleetController {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fleet == nil {
		return nil
	}
	return c.fleet
}

// Status implements server.FleetController.
func (f *fleetNode) Status() string {
	return fmt.Sprintf(`{"node":%q,"store":"up","nodes":[]}`, f.name)
}

// done is the reply to an order.
func (f *fleetNode) done(what string) (string, error) {
	if f.away {
		return what + " at this node; " + mgmt.FleetLater, nil
	}
	return what + " at all nodes", nil
}

// Order implements server.FleetController.
func (f *fleetNode) Order(verb string, o server.FleetOrder) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	whom := server.FleetOrder{User: o.User, CommonName: o.CommonName}
	switch verb {
	case "ban":
		f.bans[whom] = o.Reason
	case "unban":
		if _, ok := f.bans[whom]; !ok {
			return "", errors.New("there is no such ban")
		}
		delete(f.bans, whom)
	}
	return f.done(verb)
}

// Drain implements server.FleetController.
func (f *fleetNode) Drain(deadline time.Duration) (string, error) {
	return fmt.Sprintf("draining node %s within %v", f.name, deadline), nil
}

// Shared implements server.FleetController.
func (f *fleetNode) Shared() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := func(m map[string]string, name, value string) []map[string]string {
		all := []map[string]string{}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			all = append(all, map[string]string{name: k, value: m[k], "by": f.name})
		}
		return all
	}
	bans := []map[string]string{}
	for whom, reason := range f.bans {
		ban := map[string]string{"user": whom.User, "cn": whom.CommonName, "reason": reason, "by": f.name}
		maps.DeleteFunc(ban, func(_, v string) bool { return v == "" })
		bans = append(bans, ban)
	}
	b, err := json.Marshal(map[string]any{"files": list(f.files, "name", "text"), "revocations": list(f.revoked, "serial", "reason"), "bans": bans})
	if err != nil {
		panic(err) // strings
	}
	return string(b)
}

// SetFile implements server.FleetController.
func (f *fleetNode) SetFile(name string, lines []string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, l := range lines {
		if strings.HasPrefix(l, "bad") {
			return "", fmt.Errorf("line %d: it is bad", n+1)
		}
	}
	f.files[name] = strings.Join(lines, "\n") + "\n"
	return f.done("file")
}

// RemoveFile implements server.FleetController.
func (f *fleetNode) RemoveFile(name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.files[name]; !ok {
		return "", errors.New("there is no such file")
	}
	delete(f.files, name)
	return f.done("file taken away")
}

// Revoke implements server.FleetController.
func (f *fleetNode) Revoke(serial, reason string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked[serial] = reason
	return f.done("revocation")
}

// Unrevoke implements server.FleetController.
func (f *fleetNode) Unrevoke(serial string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.revoked[serial]; !ok {
		return "", errors.New("there is no such revocation")
	}
	delete(f.revoked, serial)
	return f.done("revocation taken away")
}
