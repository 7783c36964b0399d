package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// exchange is a set of files through which a script answers. They are made empty, for us alone, and removed when the
// script's business is over.
type exchange struct{ paths map[string]string }

// errRefused is a script's answer "0".
var errRefused = errors.New("script refused")

// newExchange makes a file for each tag in dir.
func newExchange(dir string, tags ...string) (*exchange, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	e := &exchange{paths: make(map[string]string)}
	for _, tag := range tags {
		var name [16]byte
		rand.Read(name[:])
		path := filepath.Join(dir, fmt.Sprintf("openvpn_%s_%s.tmp", tag, hex.EncodeToString(name[:])))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			e.remove()
			return nil, fmt.Errorf("make exchange file: %w", err)
		}
		f.Close()
		e.paths[tag] = path
	}
	return e, nil
}

func (e *exchange) path(tag string) string { return e.paths[tag] }

// maxAnswer bounds what is read of a file that a script wrote.
const maxAnswer = 64 << 10

// read returns the content of a file, "" when it cannot be read.
func (e *exchange) read(tag string) string {
	b, err := os.ReadFile(e.paths[tag])
	if err != nil || len(b) > maxAnswer {
		return ""
	}
	return string(b)
}

// await waits until a file says 1, which is nil, or 0.
func (e *exchange) await(ctx context.Context, tag string) error { return e.awaitChange(ctx, tag, "") }

// awaitChange is await for a file that says something else first.
func (e *exchange) awaitChange(ctx context.Context, tag, first string) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		switch text := strings.TrimSpace(e.read(tag)); {
		case text == "" || text == first:
		case text[0] == '1':
			return nil
		default:
			return errRefused
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *exchange) remove() {
	for _, p := range e.paths {
		_ = os.Remove(p) // somebody may have moved it
	}
}
