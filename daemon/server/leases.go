package server

import (
	"bytes"
	"io"
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/server/pool"
)

// leases are the addresses of the pool, and its file. The hub owns them.
type leases struct {
	*pool.Pool // nil without a pool
	file       *poolFile
	say        *clientLog
}

// virtual holds a client's addresses in the tunnel.
type virtual struct {
	v4     netip.Addr
	local4 netip.Addr // our side of v4, or the netmask
	v6     netip.Prefix

	lease  pool.Lease
	leased bool // lease holds a place in the pool, also for a client whose configuration has other addresses
}

// open makes the pool and reads its file. A file that cannot be opened is worth a note: the pool works without it.
func (p *leases) open(set *setup) error {
	cfg, ok := set.poolConfig()
	if !ok {
		return nil
	}
	var err error
	if p.Pool, err = pool.New(cfg); err != nil {
		return err
	}
	readOnly := set.PoolPersistInterval == 0
	if set.PoolPersist != "" {
		if err := p.file.open(set.PoolPersist, readOnly); err != nil {
			p.say.logLine("", logging.Info, "Note: cannot open %s for %s", set.PoolPersist, map[bool]string{true: "READ", false: "READ/WRITE"}[readOnly])
		}
	}
	if cfg.Start.IsValid() {
		p.say.logLine("", logging.Steps, "IFCONFIG POOL IPv4: base=%s size=%d", cfg.Start, p.Size())
	}
	if cfg.Base6.IsValid() {
		size6 := pool.Size6(cfg.Base6)
		p.say.logLine("", logging.Steps, "IFCONFIG POOL IPv6: base=%s size=%d netbits=%d", cfg.Base6.Addr(), size6, cfg.Base6.Bits())
		if cfg.Start.IsValid() && p.Size() < size6 {
			p.say.logLine("", logging.Info, "NOTE: IPv4 pool size is %d, IPv6 pool size is %d. IPv4 pool size limits the number of clients that can be served from the pool", p.Size(), size6)
		}
	}
	if set.PoolPersist == "" {
		return nil
	}
	if err := p.read(readOnly); err != nil {
		return err
	}
	p.say.logLine("", logging.Steps, "IFCONFIG POOL LIST")
	return nil
}

// read fills the pool from its file, if that is open.
func (p *leases) read(readOnly bool) error {
	f := p.file.f
	if f == nil {
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return p.Load(f, readOnly, func(line, reason string) {
		p.say.logLine("", logging.Warn, "ifconfig_pool_read(), in='%s': %s", line, reason)
	})
}

// store writes the pool's file in place.
func (p *leases) store(set *setup) {
	if p.Pool == nil || p.file.f == nil || set.PoolPersistInterval == 0 {
		return
	}
	var b bytes.Buffer
	err := p.Store(&b)
	if err == nil {
		err = p.file.write(b.Bytes())
	}
	if err != nil {
		p.say.logLine("", logging.Warn, "write %s: %v", set.PoolPersist, err)
	}
}

// release gives a client's lease back to the pool.
func (p *leases) release(i *instance) {
	if i.virtual.leased {
		p.Release(i.virtual.lease)
		i.virtual.leased = false
	}
}

// drop is release for a client that goes on without the addresses.
func (p *leases) drop(i *instance) {
	if i.virtual.leased {
		p.release(i)
		i.virtual = virtual{}
	}
}

// take finds a client addresses in the pool. Scripts see them from then on.
func (p *leases) take(i *instance, set *setup) error {
	if p.Pool == nil {
		return nil
	}
	lease, err := p.Acquire(i.commonName)
	if err != nil {
		return err
	}
	p.give(i, set, lease)
	return nil
}

// claim gives a client the slot that the fleet chose for it.
func (p *leases) claim(i *instance, set *setup, slot int) error {
	lease, err := p.Claim(slot, i.commonName)
	if err != nil {
		return err
	}
	p.give(i, set, lease)
	return nil
}

func (p *leases) give(i *instance, set *setup, lease pool.Lease) {
	i.virtual.leased, i.virtual.lease = true, lease
	if lease.IPv4.IsValid() {
		i.virtual.v4 = lease.IPv4
		switch {
		case set.tap() || set.Topology == config.TopologySubnet:
			i.virtual.local4 = set.netmask()
		case set.Topology == config.TopologyNet30:
			i.virtual.local4 = lease.Local4
		default:
			i.virtual.local4 = set.Ifconfig.Local
		}
	}
	if lease.IPv6.IsValid() {
		i.virtual.v6 = netip.PrefixFrom(lease.IPv6, set.IfconfigIPv6.Local.Bits())
	}
	p.say.log(i, logging.Info, "MULTI_sva: pool returned IPv4=%s, IPv6=%s", shown(lease.IPv4), shown(lease.IPv6))
}
