// Package tuntest has TUN and TAP devices in memory.
package tuntest

import (
	"errors"
	"os"
	"sync"
)

// ErrFull says that the device's receive queue had no room.
var ErrFull = errors.New("tuntest: queue full")

// queueLen is the most packets waiting in either direction.
const queueLen = 1024

// maxBatch bounds how many packets one Read returns.
const maxBatch = 128

// Device is a device whose kernel side is a Go test (or another Device): Inject plays what the system routes into
// the tunnel, Take what comes out of it. It implements tun.Device. Safe for concurrent use.
type Device struct {
	name   string
	tap    bool
	mtu    int
	in     chan []byte // Inject to Read
	out    chan []byte // Write to Take
	closed chan struct{}
	once   *sync.Once
}

// New makes a device.
func New(name string, tap bool, mtu int) *Device {
	return &Device{
		name: name, tap: tap, mtu: mtu,
		in: make(chan []byte, queueLen), out: make(chan []byte, queueLen),
		closed: make(chan struct{}), once: new(sync.Once),
	}
}

// Pair makes two devices joined back to back: what is written to one is read from the other. Closing one leaves the
// other open, with nobody to talk to.
func Pair(mtu int) (*Device, *Device) {
	a, b := New("tun0", false, mtu), New("tun1", false, mtu)
	b.in, b.out = a.out, a.in
	return a, b
}

// Inject queues a copy of a packet for Read. It returns ErrFull rather than block, os.ErrClosed after Close.
func (d *Device) Inject(pkt []byte) error {
	return d.push(d.in, pkt)
}

// Take returns the channel of packets written to the device, in order. It is never closed.
func (d *Device) Take() <-chan []byte { return d.out }

func (d *Device) push(ch chan []byte, pkt []byte) error {
	select {
	case <-d.closed:
		return os.ErrClosed
	default:
	}
	select {
	case ch <- append([]byte(nil), pkt...):
		return nil
	default:
		return ErrFull
	}
}

// Read waits for injected packets; see tun.Device.
func (d *Device) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	var first []byte
	select {
	case <-d.closed:
		return 0, os.ErrClosed
	case first = <-d.in:
	}
	n := 0
	for p := first; ; {
		sizes[n] = copy(bufs[n][offset:], p)
		if n++; n == len(bufs) || n == maxBatch {
			return n, nil
		}
		select {
		case p = <-d.in:
		default:
			return n, nil
		}
	}
}

// Write hands packets to Take; a full queue drops, as a kernel does.
func (d *Device) Write(bufs [][]byte, offset int) (int, error) {
	n := 0
	var first error
	for _, b := range bufs {
		switch err := d.push(d.out, b[offset:]); {
		case err == nil:
			n++
		case errors.Is(err, os.ErrClosed):
			return n, err
		case first == nil:
			first = err
		}
	}
	return n, first
}

// BatchSize is 128.
func (d *Device) BatchSize() int { return maxBatch }

// Name is the name given to New.
func (d *Device) Name() string { return d.name }

// MTU is the one given to New.
func (d *Device) MTU() (int, error) { return d.mtu, nil }

// TAP reports Ethernet frames.
func (d *Device) TAP() bool { return d.tap }

// Close wakes Read.
func (d *Device) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}
