package server

import (
	"bytes"
	"io"
	"net/netip"
	"os"

	"github.com/moongate-vpn/moongate/daemon/server/pool"
)

// poolFile is the file of ifconfig-pool-persist. It stays open: after the user has changed it could not be opened again.
// Only the goroutine of the instance touches it.
type poolFile struct {
	path string
	f    *os.File
}

// open opens the file for reading, and for writing unless it is read-only.
func (p *poolFile) open(path string, readOnly bool) error {
	if p.f != nil && p.path == path {
		return nil
	}
	p.close()
	flags := os.O_RDWR | os.O_CREATE
	if readOnly {
		flags = os.O_RDONLY
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	p.path, p.f = path, f
	return nil
}

func (p *poolFile) close() {
	if p.f != nil {
		_ = p.f.Close()
		p.f = nil
	}
}

// sizeOf6 is how many addresses stock counts in an IPv6 pool.
func sizeOf6(base netip.Prefix) int {
	return 1 << min(16, 128-base.Bits())
}

// openPool makes the pool and reads its file. A file that cannot be opened is worth a note: the pool works without it.
func (h *hub) openPool() error {
	cfg, ok := h.set.poolConfig()
	if !ok {
		return nil
	}
	p, err := pool.New(cfg)
	if err != nil {
		return err
	}
	h.pool = p
	readOnly := h.set.PoolPersistInterval == 0
	if h.set.PoolPersist != "" {
		if err := h.carried.pool.open(h.set.PoolPersist, readOnly); err != nil {
			h.logLine("", 1, "I", "Note: cannot open %s for %s", h.set.PoolPersist, map[bool]string{true: "READ", false: "READ/WRITE"}[readOnly])
		}
	}
	if cfg.Start.IsValid() {
		h.logLine("", 3, "", "IFCONFIG POOL IPv4: base=%s size=%d", cfg.Start, p.Size())
	}
	if cfg.Base6.IsValid() {
		size6 := sizeOf6(cfg.Base6)
		h.logLine("", 3, "", "IFCONFIG POOL IPv6: base=%s size=%d netbits=%d", cfg.Base6.Addr(), size6, cfg.Base6.Bits())
		if cfg.Start.IsValid() && p.Size() < size6 {
			h.logLine("", 1, "I", "NOTE: IPv4 pool size is %d, IPv6 pool size is %d. IPv4 pool size limits the number of clients that can be served from the pool", p.Size(), size6)
		}
	}
	if h.set.PoolPersist == "" {
		return nil
	}
	if err := h.readPool(readOnly); err != nil {
		return err
	}
	h.logLine("", 3, "", "IFCONFIG POOL LIST")
	return nil
}

// readPool fills the pool from its file, if that is open.
func (h *hub) readPool(readOnly bool) error {
	f := h.carried.pool.f
	if f == nil {
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return h.pool.Load(f, readOnly, func(line, reason string) {
		h.logLine("", 1, "W", "ifconfig_pool_read(), in='%s': %s", line, reason)
	})
}

// storePool writes the pool's file in place.
func (h *hub) storePool() {
	if h.pool == nil || h.carried.pool.f == nil || h.set.PoolPersistInterval == 0 {
		return
	}
	var b bytes.Buffer
	err := h.pool.Store(&b)
	if err == nil {
		_, err = h.carried.pool.f.WriteAt(b.Bytes(), 0)
	}
	if err == nil {
		err = h.carried.pool.f.Truncate(int64(b.Len()))
	}
	if err != nil {
		h.logLine("", 1, "W", "write %s: %v", h.set.PoolPersist, err)
	}
}
