package server

import (
	"errors"
	"os"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/tun"
)

// pipeDevice is a device whose packets come from a channel.
type pipeDevice struct {
	tun.Device
	packets chan string
}

func (d *pipeDevice) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	p, ok := <-d.packets
	if !ok {
		return 0, os.ErrClosed
	}
	sizes[0] = copy(bufs[0][offset:], p)
	return 1, nil
}

// A device that is kept: the reader of the instance before ends with the next packet and leaves it to its successor.
func TestKeptDeviceLosesNothing(t *testing.T) {
	dev := &pipeDevice{packets: make(chan string)}
	var shared reading
	one := &view{Device: dev, reading: &shared}
	read := func(v *view) (string, error) {
		bufs, sizes := [][]byte{make([]byte, 100)}, make([]int, 1)
		if _, err := v.Read(bufs, sizes, 16); err != nil {
			return "", err
		}
		return string(bufs[0][16 : 16+sizes[0]]), nil
	}
	old := make(chan error)
	go func() {
		_, err := read(one)
		old <- err
	}()
	got := make(chan string)
	dev.packets <- "first"
	if err := <-old; err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := read(one)
		old <- err
	}()
	for shared.TryLock() { // until the old reader waits
		shared.Unlock()
	}
	one.ended.Store(true)
	two := &view{Device: dev, reading: &shared}
	go func() {
		for range 2 {
			p, err := read(two)
			if err != nil {
				t.Error(err)
			}
			got <- p
		}
	}()
	dev.packets <- "second"
	if err := <-old; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the old reader got %v", err)
	}
	if p := <-got; p != "second" {
		t.Errorf("got %q", p)
	}
	dev.packets <- "third"
	if p := <-got; p != "third" {
		t.Errorf("got %q", p)
	}
}
