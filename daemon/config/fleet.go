package config

import "path/filepath"

// Fleet is a server's part in a fleet, an extension of ours. The zero value has none.
type Fleet struct {
	Dir    string // of the node
	Limit  int    // sessions that a user may have at a time in the whole fleet, 0 for no limit but that of duplicate-cn
	Oldest bool   // of more than Limit the oldest stay, else the newest
	Strict bool   // while the fleet cannot be asked nobody is let in, else each node counts its own
	Route  FleetRoute
}

// FleetRoute says how packets from other machines to a client's address find its node. Several ways go together.
type FleetRoute struct {
	Kernel   bool     // a route of the system for each address, for a routing daemon to tell others
	Relay    bool     // node to node
	ProxyARP bool     // the node answers for each address in its network
	Devices  []string // of ProxyARP; empty: the one that has the pool's network, else the one with the default route
}

// Set reports whether there is any way.
func (r *FleetRoute) Set() bool { return r.Kernel || r.Relay || r.ProxyARP }

// fleetTokens is the file of a node's folder that holds the key of auth-gen-token.
const fleetTokens = "auth-token.key"

// fleetLimit reads a number and words behind it.
func fleetLimit(p *parser, a []string) error {
	n, err := integer(p, "fleet-limit", a[0], 1, 1000)
	if err != nil {
		return errorf("--fleet-limit %s: want a number from 1 to 1000", a[0])
	}
	f := &p.o.Fleet
	f.Limit, f.Oldest, f.Strict = n, false, false
	for _, word := range a[1:] {
		switch word {
		case "newest", "oldest":
			f.Oldest = word == "oldest"
		case "strict", "best-effort":
			f.Strict = word == "strict"
		default:
			return errorf("--fleet-limit: %s: want newest, oldest, strict or best-effort", word)
		}
	}
	return nil
}

// fleetRoute reads a way, and the devices of proxy-arp behind it.
func fleetRoute(p *parser, a []string) error {
	r := &p.o.Fleet.Route
	switch {
	case a[0] == "proxy-arp":
		r.ProxyARP, r.Devices = true, append(r.Devices, a[1:]...)
		return nil
	case len(a) > 1:
		return errorf("--fleet-route %s: %s: only proxy-arp takes devices", a[0], a[1])
	case a[0] == "kernel":
		r.Kernel = true
	case a[0] == "relay":
		r.Relay = true
	default:
		return errorf("--fleet-route %s: want proxy-arp, kernel or relay", a[0])
	}
	return nil
}

// completeFleet takes the key of tokens from the fleet's folder, so that each node knows those of the others.
func (o *Options) completeFleet() {
	if o.Fleet.Dir != "" && o.AuthGenToken && !o.AuthTokenSecret.Set() {
		o.AuthTokenSecret = Source{Path: filepath.Join(o.Fleet.Dir, fleetTokens)}
	}
}
