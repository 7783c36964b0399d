package server

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// censusLimit bounds how long a census waits for the hub.
const censusLimit = 2 * time.Second

// Census implements engine.Counted.
func (s *Server) Census(names bool) engine.Census {
	in := s.live.Load()
	if in == nil {
		return engine.Census{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), censusLimit)
	defer cancel()
	var c engine.Census
	in.call(ctx, func(h *hub) { c = h.census(names) })
	return c
}

func (h *hub) census(names bool) engine.Census {
	c := engine.Census{
		Ready: true, MaxClients: h.set.MaxClients,
		Versions: make(map[string]int), Platforms: make(map[string]int), Ciphers: make(map[string]int), Dropped: make(map[string]uint64),
		Queues: map[string]int{"control_packets": len(h.packets), "newcomers": len(h.arrive), "calls": len(h.calls)},
		Hooks:  h.slots.taken(), MostHooks: h.slots.size, LinesLeftOut: h.limiter.reported + uint64(max(h.limiter.lost.Load(), 0)),
	}
	if names {
		c.Names = make(map[string]engine.Moved)
	}
	maps.Copy(c.Dropped, h.dropped)
	h.count(&c)
	return c
}

// count adds the clients to a census.
func (r *roster) count(c *engine.Census) {
	c.Clients, c.Handshaking = r.established, len(r.instances)-r.established
	for _, i := range r.instances {
		i.addDrops(c.Dropped)
		if i.stage != session.Established {
			continue
		}
		c.Versions[versionLabel(i.info.Get("IV_VER"))]++
		c.Platforms[platformLabel(i.info.Get("IV_PLAT"))]++
		c.Ciphers[i.session.Terms().Cipher]++
		if c.Names != nil && i.commonName != "" {
			moved := c.Names[i.commonName]
			moved.In += i.counts.LinkIn.Load()
			moved.Out += i.counts.LinkOut.Load()
			c.Names[i.commonName] = moved
		}
	}
}

// addDrops adds the packets of a client that were dropped.
func (i *instance) addDrops(to map[string]uint64) {
	if n := i.counts.badSource.Load(); n > 0 {
		to["bad_source"] += n
	}
	if ch := i.tunnel.Load(); ch != nil {
		ch.Counters.AddDrops(to)
	}
}

// versionLabel returns the version that a client claims, as one of a few: clients can claim anything.
func versionLabel(v string) string {
	for _, known := range []string{"2.3", "2.4", "2.5", "2.6", "2.7"} {
		if v == known || strings.HasPrefix(v, known+".") || strings.HasPrefix(v, known+"_") {
			return known
		}
	}
	switch {
	case v == "":
		return "unknown"
	case strings.HasPrefix(v, "3."):
		return "3"
	default:
		return "other"
	}
}

// platformLabel is versionLabel for the system of a client.
func platformLabel(p string) string {
	switch p {
	case "":
		return "unknown"
	case "linux", "win", "mac", "android", "ios", "freebsd", "openbsd", "netbsd", "solaris":
		return p
	default:
		return "other"
	}
}
