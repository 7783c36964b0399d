// Package bounded reads the files that options name: no more of one than a limit, and without waiting for ever.
package bounded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// How long a pipe in the place of a file may take: until there is a writer, and then until its end. A person may be typing a passphrase
// at the other end.
var (
	writerWait = 10 * time.Second // tests change it
	readWait   = time.Minute
)

// Errors of pipes, and of files that are too long.
var (
	ErrLong     = errors.New("file too large")
	ErrNoWriter = errors.New("a pipe, and nobody writes to it")
	ErrPipe     = errors.New("a pipe in the place of a file")
)

// ReadFile reads a file of at most limit bytes, or a pipe in its place. Errors wrap ErrLong and ErrNoWriter.
func ReadFile(path string, limit int) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	open := os.Open
	if isPipe(info) {
		open = openPipe
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(readWait)) // files have none
	return read(f, path, limit)
}

// ReadNow is ReadFile for what is read while others wait: a pipe is ErrPipe.
func ReadNow(path string, limit int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer does not hold it up
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || isPipe(info) {
		return nil, errors.Join(err, &fs.PathError{Op: "read", Path: path, Err: ErrPipe})
	}
	return read(f, path, limit)
}

func isPipe(info fs.FileInfo) bool { return info.Mode()&fs.ModeNamedPipe != 0 }

func read(r io.Reader, path string, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: more than %d bytes", ErrLong, limit)}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// openPipe waits for a writer.
func openPipe(path string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-time.After(writerWait):
	}
	if w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil { // wakes the one that waits
		defer w.Close()
		if o := <-done; o.err == nil {
			_ = o.f.Close()
		}
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: ErrNoWriter}
}
