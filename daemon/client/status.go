package client

import (
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Status returns the statistics of the attempt that is running, zeros between two. A client has one layout.
func (c *Client) Status(int) ([]string, bool) {
	var t session.Traffic
	p := &t
	if a := c.live.Load(); a != nil {
		p = &a.traffic
	}
	return []string{
		"OpenVPN STATISTICS",
		"Updated," + time.Now().Format("2006-01-02 15:04:05"),
		fmt.Sprintf("TUN/TAP read bytes,%d", p.TunOut.Load()),
		fmt.Sprintf("TUN/TAP write bytes,%d", p.TunIn.Load()),
		fmt.Sprintf("TCP/UDP read bytes,%d", p.LinkIn.Load()),
		fmt.Sprintf("TCP/UDP write bytes,%d", p.LinkOut.Load()),
		fmt.Sprintf("Auth read bytes,%d", p.Opened.Load()),
		"END",
	}, true
}

// logStatistics writes the statistics to the log (SIGUSR2).
func (c *Client) logStatistics() {
	lines, _ := c.Status(0)
	for _, l := range lines {
		c.log(logging.Info, "%s", l)
	}
}

// CRResponse sends the answer to a CR_TEXT challenge, base64, to the server. It implements the management port's
// ClientController.
func (c *Client) CRResponse(text string) bool {
	a := c.live.Load()
	if a == nil || len(text) > maxResponse {
		return false
	}
	sent := make(chan bool, 1)
	if !a.order(func() { sent <- a.stage >= session.Authorised && a.session.SendText("CR_RESPONSE,"+text) == nil }) {
		return false
	}
	select {
	case ok := <-sent:
		return ok
	case <-a.done:
		return false
	}
}

// maxResponse bounds a challenge response, in bytes of base64.
const maxResponse = 1000

// Remotes are the configured profiles.
func (c *Client) Remotes() []server.Remote {
	out := make([]server.Remote, 0, len(c.opts.Connections))
	for _, p := range c.opts.Connections {
		out = append(out, server.Remote{Host: p.Remote, Port: p.RemotePort, Proto: string(p.Proto)})
	}
	return out
}

// Traffic returns the port's byte counts; false while no attempt is running.
func (c *Client) Traffic() (mgmt.ByteCount, bool) {
	return mgmt.ByteCount{In: c.totals.In.Load(), Out: c.totals.Out.Load()}, c.live.Load() != nil
}
