package server

import (
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

func (c *call) help() {
	lines := []string{"Management Interface for " + c.s.cfg.Title, "Commands:"}
	table := mgmt.Commands()
	for i := range table {
		cmd := &table[i]
		if cmd.Hidden {
			continue
		}
		synopsis := cmd.Synopsis()
		for len(synopsis) < 42 {
			synopsis += " "
		}
		lines = append(lines, synopsis+" : "+cmd.Help)
	}
	c.list(lines)
}

// announce is version: what the daemon is, or what the client speaks.
func (c *call) announce() {
	if len(c.args) == 0 {
		c.list([]string{"OpenVPN Version: " + c.s.cfg.Title, "Management Version: " + strconv.Itoa(c.s.protocol())})
		return
	}
	n := number(c.args[0])
	c.s.mu.Lock()
	c.version = n
	if c.role.CanAnswer() { // who may only look changes nothing for others
		c.s.version = n
	}
	c.s.mu.Unlock()
	if c.s.protocol() >= 6 && n >= 4 {
		c.reply("SUCCESS: Management client version set to " + strconv.Itoa(n))
	}
}

func (c *call) pid() { c.reply("SUCCESS: pid=" + strconv.Itoa(c.s.cfg.PID)) }

func (c *call) loadStats() {
	n := 0
	if ctl := c.s.cfg.Controller.Server(); ctl != nil {
		n = ctl.Clients()
	}
	total := c.s.cfg.Controller.LoadStats()
	c.reply("SUCCESS: nclients=" + strconv.Itoa(n) + ",bytesin=" + strconv.FormatUint(total.In, 10) + ",bytesout=" + strconv.FormatUint(total.Out, 10))
}

func (c *call) clients() {
	if ctl := c.server(); ctl != nil {
		c.reply("SUCCESS: nclients=" + strconv.Itoa(ctl.Clients()))
	}
}

func (c *call) status() {
	version := 0
	if len(c.args) > 0 {
		version = number(c.args[0])
	}
	if ctl := c.s.cfg.Controller.Client(); ctl != nil {
		lines, _ := ctl.Status(version)
		c.list(lines)
		return
	}
	ctl := c.server()
	if ctl == nil {
		return
	}
	if version >= 0 && version <= 3 {
		if lines, ok := ctl.Status(version); ok {
			c.list(lines)
			return
		}
	}
	c.reply("ERROR: bad status format version number")
}

func (c *call) net() {
	if c.s.cfg.Controller.Client() == nil && c.s.cfg.Controller.Server() == nil {
		c.unsupported("net")
		return
	}
	c.reply("ERROR: Sorry, this command is currently only implemented on Windows")
}

// test prints numbered lines without END, as fast as the seat reads them.
func (c *call) test() {
	const filler = "the quick brown fox jumps over the lazy dog and wonders whether the line is long enough"
	n := number(c.args[0])
	for i := 0; i < n; {
		c.waitRoom()
		if closing, broken := c.out.state(); closing || broken {
			return
		}
		var b []byte
		for end := min(i+256, n); i < end; i++ {
			b = append(appendInt(append(b, '['), i), "] "+filler+"\r\n"...)
		}
		c.out.push(reply, b)
	}
}

func (c *call) identities() []PKCS11Identity {
	if p, ok := c.s.cfg.Controller.(PKCS11Controller); ok {
		return p.PKCS11()
	}
	return nil
}

func (c *call) pkcs11Count() {
	c.reply(">" + mgmt.KindPKCS11Count + ":" + strconv.Itoa(len(c.identities())))
}

func (c *call) pkcs11Get() {
	i, all := number(c.args[0]), c.identities()
	text := ">" + mgmt.KindPKCS11Entry + ":'" + strconv.Itoa(i) + "'"
	if i >= 0 && i < len(all) {
		text += ", ID:'" + all[i].ID + "', BLOB:'" + base64.StdEncoding.EncodeToString(all[i].Cert) + "'"
	}
	c.reply(text)
}

// history is log, state and echo: real-time flags and the newest lines, one or two parameters, each with its own reply.
// Both run under one lock, so that "log on all" loses and repeats nothing.
func (c *call) history() {
	args := c.args[:min(2, len(c.args))]
	if len(args) == 0 {
		args = []string{"1"}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	var flag *bool
	var from *ring
	name := c.cmd.Name
	switch name {
	case "log":
		flag, from = &c.log, &c.s.logs
	case "state":
		flag, from = &c.state, &c.s.states
	default:
		flag, from = &c.echo, &c.s.echoes
	}
	for _, a := range args {
		n := number(a)
		switch {
		case a == "on":
			*flag = true
			c.reply("SUCCESS: real-time " + name + " notification set to ON")
		case a == "off":
			*flag = false
			c.reply("SUCCESS: real-time " + name + " notification set to OFF")
		case a == "all":
			c.out.push(reply, append(from.newest(-1, c.maySee()), endLine)...)
		case n > 0:
			c.out.push(reply, append(from.newest(n, c.maySee()), endLine)...)
		default:
			c.reply("ERROR: " + name + " parameter must be 'on' or 'off' or some number n or 'all'")
		}
	}
}

var endLine = []byte("END\r\n")

func (c *call) filter() {
	n := 0
	if len(c.args) > 0 {
		n = number(c.args[0])
	}
	c.s.mu.Lock()
	c.envFilter = n
	if c.role.CanAnswer() { // who may only look changes nothing for others
		c.s.envFilter = n
	}
	c.s.mu.Unlock()
	c.reply("SUCCESS: env_filter_level=" + strconv.Itoa(n))
}

func (c *call) byteCount() {
	n := max(0, number(c.args[0]))
	var now counters
	if n > 0 {
		now = c.s.count().counters
	}
	c.s.mu.Lock()
	c.counted = now
	c.every = time.Duration(n) * time.Second
	c.next = c.s.cfg.Now().Add(c.every)
	start := n > 0 && !c.s.closed
	if start {
		c.s.counts.Do(func() { c.s.wg.Go(c.s.countBytes) })
	}
	c.s.mu.Unlock()
	poke(c.s.counts.wake)
	c.reply("SUCCESS: bytecount interval changed")
}

func (c *call) remoteCount() {
	if ctl := c.client(); ctl != nil {
		c.list([]string{strconv.Itoa(len(ctl.Remotes()))})
	}
}

func (c *call) remoteGet() {
	ctl := c.client()
	if ctl == nil {
		return
	}
	all := ctl.Remotes()
	from, to := 0, len(all)
	if c.args[0] != "all" {
		from = number(c.args[0])
		to = from + 1
		if len(c.args) > 1 {
			to = number(c.args[1])
		}
	}
	if from < 0 { // there is no such entry, whatever the end of the range
		to = 0
	}
	var lines []string
	for i := max(0, from); i < min(to, len(all)); i++ {
		on := "enabled"
		if all[i].Disabled {
			on = "disabled"
		}
		lines = append(lines, strconv.Itoa(i)+","+all[i].Host+","+all[i].Port+","+all[i].Proto+","+on)
	}
	c.list(slices.Clip(lines))
}
