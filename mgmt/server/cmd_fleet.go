package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Fleeter is a Controller whose daemon is a node of a fleet, or could be one.
type Fleeter interface {
	// Fleet is the node, nil without a fleet.
	Fleet() FleetController
}

// A FleetController gives orders to a fleet. Its methods wait for a moment only.
type FleetController interface {
	// Status is a line of JSON.
	Status() string
	// Order kills, bans or lets in again ("kill", "ban", "unban") the clients of a user or common name, and returns what became of it.
	Order(verb string, o FleetOrder) (string, error)
	// Drain sends all clients to other nodes within the deadline; 0 takes clients again.
	Drain(deadline time.Duration) (string, error)
	// Shared is the configuration that all nodes have, a line of JSON.
	Shared() string
	// SetFile gives all nodes the lines for a common name, "" for those that every client gets, or takes them away. Revoke keeps out the
	// certificate with a serial number, or lets it in again. They return what became of it.
	SetFile(name string, lines []string) (string, error)
	RemoveFile(name string) (string, error)
	Revoke(serial, reason string) (string, error)
	Unrevoke(serial string) (string, error)
}

// A FleetOrder says whom an order is about: a user or a common name.
type FleetOrder struct{ User, CommonName, Reason string }

// fleet is the node, nil and a reply without one.
func (c *call) fleet() FleetController {
	if f, ok := c.s.cfg.Controller.(Fleeter); ok {
		if f := f.Fleet(); f != nil {
			return f
		}
	}
	c.reply("ERROR: this daemon is no node of a fleet: its configuration has no fleet DIR")
	return nil
}

// fleetStatus is an extension of ours, as the others of this file.
func (c *call) fleetStatus() {
	var lines []string
	if f, ok := c.s.cfg.Controller.(Fleeter); ok {
		if f := f.Fleet(); f != nil {
			lines = []string{f.Status()}
		}
	}
	c.list(lines)
}

func (c *call) fleetOrder() {
	f := c.fleet()
	if f == nil {
		return
	}
	o := FleetOrder{Reason: strings.Join(c.args[2:], " ")}
	switch c.args[0] {
	case "user":
		o.User = c.args[1]
	case "cn":
		o.CommonName = c.args[1]
	}
	if o.User == "" && o.CommonName == "" {
		c.reply("ERROR: want user or cn, and a name")
		return
	}
	c.outcome(f.Order(strings.TrimPrefix(c.cmd.Name, "fleet-"), o))
}

func (c *call) fleetConfig() {
	var lines []string
	if f, ok := c.s.cfg.Controller.(Fleeter); ok {
		if f := f.Fleet(); f != nil {
			lines = []string{f.Shared()}
		}
	}
	c.list(lines)
}

// fileName is the name of the lines that a command is about: of a client, or of all.
func (c *call) fileName() string {
	if len(c.args) == 0 {
		return ""
	}
	return c.args[0]
}

func (c *call) fleetCCD() {
	name := c.fileName()
	c.begin(&block{word: c.cmd.Name, end: func(lines []string) {
		if f := c.fleet(); f != nil {
			c.outcome(f.SetFile(name, lines))
		}
	}})
}

func (c *call) fleetCCDRemove() {
	if f := c.fleet(); f != nil {
		c.outcome(f.RemoveFile(c.fileName()))
	}
}

func (c *call) fleetRevoke() {
	if f := c.fleet(); f != nil {
		c.outcome(f.Revoke(c.args[0], strings.Join(c.args[1:], " ")))
	}
}

func (c *call) fleetUnrevoke() {
	if f := c.fleet(); f != nil {
		c.outcome(f.Unrevoke(c.args[0]))
	}
}

// Limits of a drain.
const (
	drainUsual = time.Minute
	drainMost  = 24 * time.Hour
)

func (c *call) fleetDrain() {
	f := c.fleet()
	if f == nil {
		return
	}
	deadline := drainUsual
	if len(c.args) > 0 && c.args[0] == "off" {
		deadline = 0
	} else if len(c.args) > 0 {
		n, err := strconv.Atoi(c.args[0])
		if deadline = time.Duration(n) * time.Second; err != nil || n < 1 || deadline > drainMost {
			c.reply(fmt.Sprintf("ERROR: want seconds from 1 to %d, or off", int(drainMost.Seconds())))
			return
		}
	}
	c.outcome(f.Drain(deadline))
}

// outcome replies with what became of a command.
func (c *call) outcome(text string, err error) {
	if err != nil {
		c.reply("ERROR: " + strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	c.reply("SUCCESS: " + text)
}
