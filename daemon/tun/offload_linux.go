package tun

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	wgtun "golang.zx2c4.com/wireguard/tun"
)

// errNoOffload says that the kernel knows no vnet header on TUN devices.
var errNoOffload = errors.New("no offload")

// maxWhole is the largest packet the back end builds out of many, in bytes, head room included.
const maxWhole = Offset + 65535

// offload is WireGuard's device: every read and write carries a virtio network header, so that one call moves a
// whole batch of segments.
type offload struct {
	dev    wgtun.Device
	name   string
	closed atomic.Bool
	once   sync.Once
	err    error // of the close

	mu     sync.Mutex // guards what follows
	single [1][]byte
	// scratch has one buffer for each packet of a write. Joining packets appends to the first of a batch, and the caller's
	// packets are neighbours in a slab: in place, that would overwrite the next one.
	scratch [][]byte
}

func openOffload(cfg Config) (*offload, error) {
	f, name, err := openNode(cfg, unix.IFF_VNET_HDR)
	if err != nil {
		if errors.Is(err, unix.EINVAL) {
			return nil, errNoOffload // or a device of the other kind: the plain back end will say so
		}
		return nil, err
	}
	// The monitored constructor would start goroutines that report link changes to a channel nobody reads. This one
	// wants a descriptor, which must not have another owner.
	var fd int
	err = onFD(f, func(orig int) (err error) {
		fd, err = unix.FcntlInt(uintptr(orig), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	_ = f.Close()
	if err != nil {
		return nil, &OpenError{Step: stepSetup, Name: name, What: "descriptor", Err: err}
	}
	dev, _, err := wgtun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, errNoOffload
	}
	if dev.BatchSize() == 1 {
		_ = dev.Close()
		return nil, errNoOffload
	}
	return &offload{dev: dev, name: name, scratch: make([][]byte, 0, MaxBatch)}, nil
}

func (o *offload) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	for {
		n, err := o.dev.Read(bufs, sizes, offset)
		switch {
		case n > 0:
			return n, nil // with an error, only the rest of a batch did not fit
		case err == nil:
			continue
		case o.closed.Load() || errors.Is(err, os.ErrClosed):
			return 0, endError(err, o.closed.Load())
		}
		var errno syscall.Errno
		if errors.As(err, &errno) && errno != unix.EINTR {
			return 0, err
		}
		// A packet the header of which makes no sense; the next one may.
	}
}

func (o *offload) Write(bufs [][]byte, offset int) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	total := 0
	var first error
	for len(bufs) > 0 {
		n := min(len(bufs), MaxBatch)
		switch err := o.writeBatch(bufs[:n], offset); {
		case err == nil:
			total += n
		case o.closed.Load() || errors.Is(err, os.ErrClosed):
			return total, endError(err, o.closed.Load())
		case first == nil:
			first = err // some of the batch: the rest was written, we cannot tell how many
		}
		bufs = bufs[n:]
	}
	return total, first
}

func (o *offload) writeBatch(bufs [][]byte, offset int) error {
	o.scratch = o.scratch[:len(bufs)]
	if len(bufs) == 1 {
		// Nothing to join with, so nothing to protect: the header goes into the packet's own head room.
		o.single[0] = bufs[0]
		_, err := o.dev.Write(o.single[:], offset)
		return err
	}
	for i, b := range bufs {
		if o.scratch[i] == nil {
			o.scratch[i] = make([]byte, maxWhole)
		}
		o.scratch[i] = append(o.scratch[i][:Offset], b[offset:]...)
	}
	_, err := o.dev.Write(o.scratch, Offset)
	return err
}

func (o *offload) BatchSize() int    { return min(o.dev.BatchSize(), MaxBatch) }
func (o *offload) Name() string      { return o.name }
func (o *offload) MTU() (int, error) { return deviceMTU(o.name) }
func (o *offload) TAP() bool         { return false }

func (o *offload) Close() error {
	o.once.Do(func() {
		o.closed.Store(true)
		o.err = o.dev.Close()
	})
	return o.err
}
