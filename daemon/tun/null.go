package tun

import (
	"os"
	"sync"
)

// null is the device of "dev null": nothing comes, everything goes.
type null struct {
	once   sync.Once
	closed chan struct{}
}

func newNull() *null { return &null{closed: make(chan struct{})} }

func (n *null) Read([][]byte, []int, int) (int, error) {
	<-n.closed
	return 0, os.ErrClosed
}

func (n *null) Write(bufs [][]byte, _ int) (int, error) {
	select {
	case <-n.closed:
		return 0, os.ErrClosed
	default:
		return len(bufs), nil
	}
}

func (n *null) BatchSize() int    { return 1 }
func (n *null) Name() string      { return "null" }
func (n *null) MTU() (int, error) { return 1500, nil }
func (n *null) TAP() bool         { return false }

func (n *null) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}
