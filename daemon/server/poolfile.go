package server

import (
	"bytes"
	"io"
	"os"

	"github.com/moongate-vpn/moongate/daemon/internal/inplace"
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

// maxPoolFile bounds what is kept of the file while it is rewritten.
const maxPoolFile = 64 << 20

// write makes text the content, unless it is that already.
func (p *poolFile) write(text []byte) error {
	old, err := io.ReadAll(io.NewSectionReader(p.f, 0, maxPoolFile))
	if err != nil || bytes.Equal(old, text) {
		return err
	}
	return inplace.Rewrite(p.f, old, text)
}

func (p *poolFile) close() {
	if p.f != nil {
		_ = p.f.Close()
		p.f = nil
	}
}
