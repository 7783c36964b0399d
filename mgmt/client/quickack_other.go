//go:build !linux

package client

import "net"

func quickAck(net.Conn) func() { return func() {} }
