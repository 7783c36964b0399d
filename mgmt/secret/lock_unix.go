//go:build unix

package secret

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// lock waits for the lock on f, which ends when f is closed.
func lock(ctx context.Context, f *os.File, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return late("another program holds it")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
