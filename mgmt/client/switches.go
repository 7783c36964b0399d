package client

import (
	"maps"

	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// Switches are the commands that this session sent to get notifications as they come, and did not take back, by their first word: "log" has "log on".
// A daemon that refused one counts as if it had not.
func (c *Client) Switches() map[string]string {
	c.switches.Lock()
	defer c.switches.Unlock()
	return maps.Clone(c.switches.on)
}

// remember keeps what a line switches.
func (c *Client) remember(line string) {
	params, err := lexer.Split(line, "")
	if err != nil || len(params) < 2 {
		return
	}
	word, on := params[0], false
	switch word {
	case "state", "log", "echo":
		if params[1] != "on" && params[1] != "off" {
			return
		}
		on = params[1] == "on"
		line = word + " " + params[1]
	case "bytecount":
		on = leadingNumber(params[1]) > 0
	default:
		return
	}
	c.switches.Lock()
	defer c.switches.Unlock()
	if !on {
		delete(c.switches.on, word)
		return
	}
	if c.switches.on == nil {
		c.switches.on = make(map[string]string)
	}
	c.switches.on[word] = line
}
