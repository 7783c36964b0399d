//go:build !unix

package script

import "net"

// address is one that is listened on.
type address struct {
	name string
	ln   net.Listener
}

func reserve(network, text string, _ bool) (*address, error) {
	ln, err := net.Listen(network, text)
	if err != nil {
		return nil, err
	}
	return &address{ln.Addr().String(), ln}, nil
}

func (a *address) listen() (net.Listener, error) { return a.ln, nil }

func (a *address) leave() { _ = a.ln.Close() }
