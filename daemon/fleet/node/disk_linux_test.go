//go:build !nofleet

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// A full disk stops the engine of one node for good; the node goes on by the others, says so, and starts its engine again when there is room. Then it
// has all that was written meanwhile.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a small file system is mounted, which needs root")
	}
	if testing.Short() {
		t.Skip("a cluster of three elects, some seconds each")
	}
	t.Parallel()
	a := open(t, first(t, "a"))
	b := open(t, join(t, a, "b"))
	dir := join(t, a, "c")
	disk := filepath.Join(dir, "engine")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	c := open(t, dir)
	shares(t, "before", c, a, b)
	eventually(t, "three replicas", func() error { return replicas(t, a, 2) })

	fill := filepath.Join(disk, "fill")
	for err := error(nil); !errors.Is(err, syscall.ENOSPC); {
		var f *os.File
		if f, err = os.OpenFile(fill, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
			_, err = f.Write(make([]byte, 4096))
			err = errors.Join(err, f.Close())
		}
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	written := 0
	eventually(t, "a node that says that its disk is full", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := c.Store().Create(ctx, fmt.Sprint("full_", written), make([]byte, 4000)); err == nil {
			written++
		}
		if s := c.Status(t.Context()); s.Engine.Ready || s.Engine.Error == "" {
			return fmt.Errorf("%+v", s.Engine)
		}
		return nil
	})
	eventually(t, "a write at the node with the full disk", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := c.Store().Create(ctx, "while_full", nil)
		if errors.Is(err, fleet.ErrConflict) {
			return nil
		}
		return err
	})
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three replicas again", func() error { return replicas(t, a, 2) })
	shares(t, "after", c, a, b)
	a.Close() // so that c is one of the two that have it
	eventually(t, "what was written while the disk was full", func() error {
		_, err := c.Store().Get(t.Context(), "while_full")
		return err
	})
}

// A node whose engine's files are gone when it starts gets them from the others.
func TestLostFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster of three elects, some seconds each")
	}
	t.Parallel()
	a := open(t, first(t, "a"))
	b := open(t, join(t, a, "b"))
	c := open(t, join(t, a, "c"))
	shares(t, "before", a, b, c)
	eventually(t, "three replicas", func() error { return replicas(t, a, 2) })
	c.Close()
	if err := os.RemoveAll(c.Folder().EngineDir()); err != nil {
		t.Fatal(err)
	}
	c = open(t, c.Folder().Dir)
	shares(t, "after", c, a, b)
	eventually(t, "three replicas again", func() error { return replicas(t, a, 2) })
	a.Close()
	eventually(t, "what was written before", func() error {
		_, err := c.Store().Get(t.Context(), "before")
		return err
	})
}
