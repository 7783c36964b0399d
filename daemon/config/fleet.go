package config

import "path/filepath"

// Fleet is a server's part in a fleet, an extension of ours. The zero value has none.
type Fleet struct {
	Dir    string // of the node
	Limit  int    // sessions that a user may have at a time in the whole fleet, 0 for no limit but that of duplicate-cn
	Oldest bool   // of more than Limit the oldest stay, else the newest
	Strict bool   // while the fleet cannot be asked nobody is let in, else each node counts its own
}

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

// completeFleet takes the key of tokens from the fleet's folder, so that each node knows those of the others.
func (o *Options) completeFleet() {
	if o.Fleet.Dir != "" && o.AuthGenToken && !o.AuthTokenSecret.Set() {
		o.AuthTokenSecret = Source{Path: filepath.Join(o.Fleet.Dir, fleetTokens)}
	}
}
