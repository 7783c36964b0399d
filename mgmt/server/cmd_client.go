package server

import "time"

// clientKey is a key of a server's client.
type clientKey struct{ cid, kid uint64 }

// undecide opens the decision about a key: a new CONNECT or REAUTH is out.
func (s *Server) undecide(cid, kid uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.decided, clientKey{cid, kid})
}

// decide lets one seat decide about a key. A seat may repeat or change its decision, as stock's one client may; another
// seat comes too late while the first is here. act returns what has the decision take effect, nil when there is nothing to
// decide: the reply comes before that, whatever happens then.
func (c *call) decide(name string, k clientKey, act func() (effect func())) {
	s := c.s
	s.mu.Lock()
	by := s.decided[k]
	if by != nil && by != c.seat {
		s.mu.Unlock()
		c.reply("ERROR: " + name + " command failed, " + answeredBy)
		return
	}
	s.decided[k] = c.seat
	s.mu.Unlock()
	effect := act()
	c.result(effect != nil, name)
	if effect != nil {
		effect()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if by == nil && s.decided[k] == c.seat {
		delete(s.decided, k)
	}
}

// key reads CID and KID from the first two parameters.
func (c *call) key() (k clientKey, ok bool) {
	if k.cid, ok = c.id(c.args[0], "CID"); ok {
		k.kid, ok = c.id(c.args[1], "KID")
	}
	return k, ok
}

// clientAuth collects the lines of a client configuration. Whether the daemon is a server is asked at END, as stock does.
func (c *call) clientAuth() {
	k, ok := c.key()
	if !ok {
		return
	}
	c.begin(&block{word: "client-auth", end: func(lines []string) {
		if c.s.cfg.Relay != nil {
			c.decideRelayed(k, c.text, append([]string{}, lines...))
			return
		}
		if ctl := c.server(); ctl != nil {
			c.decide("client-auth", k, func() func() { return ctl.ClientAuth(k.cid, k.kid, lines) })
		}
	}})
}

// clientAuthNT answers under the name of client-auth, as stock does.
func (c *call) clientAuthNT() {
	k, ok := c.key()
	if !ok {
		return
	}
	ctl := c.s.cfg.Controller.Server()
	if ctl == nil {
		c.unsupported("client-auth")
		return
	}
	c.decide("client-auth", k, func() func() { return ctl.ClientAuth(k.cid, k.kid, nil) })
}

func (c *call) clientDeny() {
	k, ok := c.key()
	if !ok {
		return
	}
	if ctl := c.server(); ctl != nil {
		clientReason := ""
		if len(c.args) > 3 {
			clientReason = c.args[3]
		}
		c.decide("client-deny", k, func() func() { return ctl.ClientDeny(k.cid, k.kid, c.args[2], clientReason) })
	}
}

func (c *call) clientKill() {
	cid, ok := c.id(c.args[0], "CID")
	if !ok {
		return
	}
	if ctl := c.server(); ctl != nil {
		message := "RESTART"
		if len(c.args) > 1 {
			message = c.args[1]
		}
		c.result(ctl.ClientKill(cid, message), "client-kill")
	}
}

// clientPending is no decision: any seat may announce a further step, any number of times.
func (c *call) clientPending() {
	k, ok := c.key()
	if !ok {
		return
	}
	seconds, ok := c.id(c.args[3], "TIMEOUT")
	if !ok {
		return
	}
	if ctl := c.server(); ctl != nil {
		timeout := time.Duration(min(seconds, 1<<31)) * time.Second
		if ctl.ClientPending(k.cid, k.kid, c.args[2], timeout) {
			c.result(true, "client-pending-auth")
		} else {
			c.reply("ERROR: client-pending-auth command failed. Extra parameter might be too long")
		}
	}
}
