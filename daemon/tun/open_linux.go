package tun

import (
	"errors"
	"fmt"
	"os"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// errBadFD is the answer of a removed device's descriptor.
const errBadFD = unix.EBADFD

func waterConfig(cfg Config, persist bool) water.Config {
	c := water.Config{DeviceType: water.TUN}
	if cfg.Type == TAP {
		c.DeviceType = water.TAP
	}
	if !cfg.bare() {
		c.Name = cfg.Name
	}
	c.Persist = persist
	return c
}

func open(cfg Config) (Device, error) {
	dev, err := openBackEnd(cfg)
	if err != nil {
		return nil, err
	}
	if err := configure(dev.Name(), cfg); err != nil {
		_ = dev.Close()
		return nil, err
	}
	return dev, nil
}

func openBackEnd(cfg Config) (Device, error) {
	if cfg.wantOffload() {
		dev, err := openOffload(cfg)
		if !errors.Is(err, errNoOffload) {
			return dev, err
		}
	}
	if cfg.Node != "" && cfg.Node != defaultNode {
		// water knows one path only.
		f, name, err := openNode(cfg, 0)
		if err != nil {
			return nil, err
		}
		return &plain{rw: f, name: name, tap: cfg.Type == TAP}, plainFlags(f)
	}
	p, err := openWater(cfg, cfg.Persist || isPersistent(cfg))
	if err != nil {
		return nil, err
	}
	if f, ok := p.rw.(*os.File); ok {
		if err := plainFlags(f); err != nil {
			_ = p.Close()
			return nil, err
		}
	}
	return p, nil
}

// plainFlags turns offloads off that an earlier user of a persistent device left on: without a vnet header their
// packets could not be told apart.
func plainFlags(f *os.File) error {
	return onFD(f, func(fd int) error { return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0) })
}

// isPersistent reports whether the device exists and survives its last user.
func isPersistent(cfg Config) bool {
	if cfg.bare() {
		return false // the kernel chooses a name that is free
	}
	link, err := netlink.LinkByName(cfg.Name)
	if err != nil {
		return false
	}
	t, ok := link.(*netlink.Tuntap)
	return ok && !t.NonPersist
}

// openNode opens the clone device and attaches it to a network device, leaving a persist flag as it is.
// flags are added to IFF_TUN or IFF_TAP and IFF_NO_PI.
func openNode(cfg Config, flags uint16) (*os.File, string, error) {
	node := cfg.Node
	if node == "" {
		node = defaultNode
	}
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", &OpenError{Step: stepNode, Node: node, Name: cfg.Name, Err: err}
	}
	name := cfg.Name
	if cfg.bare() {
		name = cfg.Type.String() + "%d"
	}
	fail := func(err error) (*os.File, string, error) {
		_ = unix.Close(fd)
		return nil, "", &OpenError{Step: stepName, Node: node, Name: cfg.Name, Err: err}
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return fail(err)
	}
	kind := uint16(unix.IFF_TUN)
	if cfg.Type == TAP {
		kind = unix.IFF_TAP
	}
	ifr.SetUint16(kind | unix.IFF_NO_PI | flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return fail(err)
	}
	if cfg.Persist {
		if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
			return fail(err)
		}
	}
	return os.NewFile(uintptr(fd), node), ifr.Name(), nil
}

// onFD runs f with a file's descriptor, which stays non-blocking.
func onFD(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// configure sets what the config asks for on a fresh device.
func configure(name string, cfg Config) error {
	if cfg.MTU == 0 && cfg.TxQueueLen == 0 {
		return nil
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return &OpenError{Step: stepSetup, Name: name, What: "options", Err: err}
	}
	if cfg.MTU != 0 {
		if err := netlink.LinkSetMTU(link, cfg.MTU); err != nil {
			return &OpenError{Step: stepSetup, Name: name, What: fmt.Sprintf("mtu %d", cfg.MTU), Err: err}
		}
	}
	if cfg.TxQueueLen != 0 {
		if err := netlink.LinkSetTxQLen(link, cfg.TxQueueLen); err != nil {
			return &OpenError{Step: stepSetup, Name: name, What: fmt.Sprintf("txqueuelen %d", cfg.TxQueueLen), Err: err}
		}
	}
	return nil
}

func deviceMTU(name string) (int, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return 0, err
	}
	return link.Attrs().MTU, nil
}

// CreatePersistent makes a device that outlives the process (option mktun) and returns its name. uid and gid become its
// owners, who may open it without privileges; -1 leaves them.
func CreatePersistent(cfg Config, uid, gid int) (string, error) {
	p, err := openWater(cfg, true)
	if err != nil {
		return "", err
	}
	defer p.Close()
	f, ok := p.rw.(*os.File)
	if !ok {
		return p.name, errors.New("device gives no access to its descriptor")
	}
	for _, o := range []struct {
		what  string
		ioctl uint
		id    int
	}{{"owner", unix.TUNSETOWNER, uid}, {"group", unix.TUNSETGROUP, gid}} {
		if o.id < 0 {
			continue
		}
		if err := onFD(f, func(fd int) error { return unix.IoctlSetInt(fd, o.ioctl, o.id) }); err != nil {
			return p.name, &OpenError{Step: stepSetup, Name: p.name, What: o.what, Err: err}
		}
	}
	return p.name, nil
}

// RemovePersistent ends the persistence of a device (option rmtun), which removes it, and returns its name.
func RemovePersistent(cfg Config) (string, error) {
	p, err := openWater(cfg, false)
	if err != nil {
		return "", err
	}
	return p.name, p.Close()
}
