package config

import "slices"

// maxListeners bounds the sockets of a server.
const maxListeners = 64

// local is one address to bind to: HOST|* [PORT] [PROTO]. A server listens on all of them, anything else binds to the last.
func (p *parser) local(a []string) error {
	l := Listener{Host: a[0]}
	if l.Host == "*" {
		l.Host = ""
	}
	if len(a) > 1 {
		l.Port = a[1]
	}
	if len(a) > 2 {
		proto, ok := parseProto(a[2])
		if !ok || proto.IsTCPClient() {
			return errorf("Bad protocol: '%s'. Allowed protocols with --local: udp, tcp-server, tcp, and these for IPv4 or IPv6 alone (udp4, tcp6-server, ...)", a[2])
		}
		l.Proto = proto
	}
	if len(p.c.set.locals) >= maxListeners {
		return errorf("--local: a server listens on %d addresses at most", maxListeners)
	}
	p.c.set.locals = append(slices.Clip(p.c.set.locals), l)
	p.c.Local = l.Host
	return nil
}

// bindLast takes over the port and the protocol that the last local option names.
func (c *Connection) bindLast() {
	if len(c.set.locals) == 0 {
		return
	}
	last := c.set.locals[len(c.set.locals)-1]
	if last.Port != "" {
		c.LocalPort, c.set.lport = last.Port, true
	}
	if last.Proto != "" {
		c.Proto = last.Proto
	}
}

// listen makes the listeners of a server from its local options, or one without any. A line that says nothing new is dropped.
func (c *Connection) listen() {
	c.Listeners = nil
	for _, l := range c.set.locals {
		if l.Port == "" {
			l.Port = c.LocalPort
		}
		if l.Proto == "" {
			l.Proto = c.Proto
		}
		if l.Proto = l.Proto.with("server"); !slices.Contains(c.Listeners, l) {
			c.Listeners = append(c.Listeners, l)
		}
	}
	if len(c.Listeners) == 0 {
		c.Listeners = []Listener{{Host: c.Local, Port: c.LocalPort, Proto: c.Proto.with("server")}}
	}
	first := c.Listeners[0]
	c.Local, c.LocalPort, c.Proto = first.Host, first.Port, first.Proto
}
