package client

import (
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// Notification is one real-time notification; a CLIENT or UPDOWN block with its environment is one.
type Notification = wire.Notification

// NotificationLines are all lines of n as they were on the wire, without line ends.
func NotificationLines(n Notification) []string {
	lines := []string{n.String()}
	if !mgmt.HasBlock(n.Kind, n.Text) {
		return lines
	}
	for _, e := range n.Env {
		lines = append(lines, ">"+n.Kind+":ENV,"+e)
	}
	return append(lines, ">"+n.Kind+":ENV,"+wire.End)
}

// droppable reports whether losing n costs a reader nothing but a line of a stream it can ask for again.
func droppable(n Notification) bool { return mgmt.Droppable(n.Kind) || n.Kind == mgmt.KindEcho }
