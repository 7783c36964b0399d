package tun

// Offset is the head room in front of every packet, in bytes. It covers the vnet header (10 bytes), and is no more than what stands in
// front of a payload that an epoch key opened (12 bytes).
const Offset = 12

// MaxBatch is the largest BatchSize of any back end.
const MaxBatch = 128

// Device is a TUN or TAP device, or something that behaves like one. See the package comment for buffers.
type Device interface {
	// Read waits for packets and returns how many it stored. len(bufs) and len(sizes) must be at least BatchSize,
	// each buffer must hold offset plus the largest packet. os.ErrClosed after Close, ErrGone when the device was removed.
	Read(bufs [][]byte, sizes []int, offset int) (int, error)
	// Write writes whole packets and returns how many the system took, at least. A packet the kernel refuses (a device
	// that is down refuses all) is dropped and the rest is still written; the error is the first one. os.ErrClosed
	// after Close, ErrGone when the device was removed.
	Write(bufs [][]byte, offset int) (int, error)
	// BatchSize is the most packets one Read returns and the best number for one Write.
	BatchSize() int
	// Name is the kernel's name of the device, for example tun0; "null" without one.
	Name() string
	// MTU asks the kernel.
	MTU() (int, error)
	// TAP reports Ethernet frames instead of IP packets.
	TAP() bool
	// Close releases the device; a persistent one stays in the system. It is idempotent.
	Close() error
}

// Type is the kind of a device.
type Type uint8

// Kinds.
const (
	TUN Type = iota
	TAP
	Null
)

// String is the option file's word for the kind.
func (t Type) String() string { return [...]string{"tun", "tap", "null"}[t] }

// Config describes the device to open.
type Config struct {
	// Name is a full device name, or "tun" / "tap" for the first free number.
	Name string
	Type Type
	// Persist leaves the device in the system on Close. Opening a device that was persistent before never clears that.
	Persist bool
	// DisableOffload forces the plain back end.
	DisableOffload bool
	// MTU is set on the device; 0 leaves the kernel's 1500.
	MTU int
	// TxQueueLen is set on the device; 0 leaves it.
	TxQueueLen int
	// Node is the clone device; "" means /dev/net/tun.
	Node string
}
