package tun

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/songgao/water"
)

// plain is one packet a call, for TUN and TAP.
type plain struct {
	rw     io.ReadWriteCloser
	name   string
	tap    bool
	closed atomic.Bool
	once   sync.Once
	err    error // of the close
}

// openWater opens a device through water. persist is the flag the device shall have: water always sets it, so opening
// a persistent device with false ends its persistence.
func openWater(cfg Config, persist bool) (*plain, error) {
	// New, since water's older constructors print on standard output.
	ifc, err := water.New(waterConfig(cfg, persist))
	if err != nil {
		step := stepName
		var pe *os.PathError
		if errors.As(err, &pe) {
			step = stepNode
		}
		return nil, &OpenError{Step: step, Node: defaultNode, Name: cfg.Name, Err: err}
	}
	return &plain{rw: ifc.ReadWriteCloser, name: ifc.Name(), tap: cfg.Type == TAP}, nil
}

func (p *plain) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	for {
		n, err := p.rw.Read(bufs[0][offset:])
		switch {
		case err == nil:
			sizes[0] = n
			return 1, nil
		case errors.Is(err, syscall.EINTR):
			continue
		}
		return 0, p.ended(err)
	}
}

func (p *plain) Write(bufs [][]byte, offset int) (int, error) {
	n := 0
	var first error
	for _, b := range bufs {
		_, err := p.rw.Write(b[offset:])
		switch {
		case err == nil:
			n++
		case p.closed.Load() || vanished(err):
			return n, p.ended(err)
		case first == nil:
			first = err
		}
	}
	return n, first
}

// ended turns the error of an I/O call into ours.
func (p *plain) ended(err error) error { return endError(err, p.closed.Load()) }

// endError tells an end by Close from a device that vanished.
func endError(err error, closed bool) error {
	switch {
	case closed:
		return os.ErrClosed
	case vanished(err):
		return ErrGone
	}
	return err
}

// vanished reports whether an I/O error means that the device is gone. A read that waits then finds its descriptor "not pollable":
// the runtime says so when epoll reports an error on it, with an error that has no name outside.
func vanished(err error) bool {
	return errors.Is(err, os.ErrClosed) || errors.Is(err, errBadFD) || err != nil && strings.HasSuffix(err.Error(), "not pollable")
}

func (p *plain) BatchSize() int    { return 1 }
func (p *plain) Name() string      { return p.name }
func (p *plain) MTU() (int, error) { return deviceMTU(p.name) }
func (p *plain) TAP() bool         { return p.tap }

func (p *plain) Close() error {
	p.once.Do(func() {
		p.closed.Store(true)
		p.err = p.rw.Close()
	})
	return p.err
}
