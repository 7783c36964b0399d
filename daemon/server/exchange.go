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

	"github.com/moongate-vpn/moongate/daemon/internal/bounded"
)

// exchange is a set of files through which a script answers. They are made for us alone, and removed when the script's
// business is over.
type exchange struct{ paths map[string]string }

// errRefused is a script's answer "0".
var errRefused = errors.New("script refused")

// newExchange makes an empty file for each tag in dir.
func newExchange(dir string, tags ...string) (*exchange, error) {
	e := &exchange{paths: make(map[string]string)}
	for _, tag := range tags {
		if err := e.make(dir, tag, nil); err != nil {
			e.remove()
			return nil, err
		}
	}
	return e, nil
}

// newMessage is an exchange of one file that tells a script something.
func newMessage(dir, tag string, content []byte) (*exchange, error) {
	e := &exchange{paths: make(map[string]string)}
	if err := e.make(dir, tag, content); err != nil {
		e.remove()
		return nil, err
	}
	return e, nil
}

// make creates a file and writes it through the same descriptor: by name another user of dir could put its own file in
// the place of one that exists, and read what is written.
func (e *exchange) make(dir, tag string, content []byte) error {
	if dir == "" {
		dir = os.TempDir()
	}
	var name [16]byte
	rand.Read(name[:])
	path := filepath.Join(dir, fmt.Sprintf("openvpn_%s_%s.tmp", tag, hex.EncodeToString(name[:])))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make exchange file: %w", err)
	}
	e.paths[tag] = path
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write exchange file: %w", err)
	}
	return nil
}

// newLoginExchange makes the files by which a verifier answers a login.
func newLoginExchange(dir string) (*exchange, error) { return newExchange(dir, "acf", "apf", "afr") }

// loginVars are "name=path" of those files.
func (e *exchange) loginVars() []string {
	return []string{"auth_control_file=" + e.path("acf"), "auth_pending_file=" + e.path("apf"), "auth_failed_reason_file=" + e.path("afr")}
}

func (e *exchange) path(tag string) string { return e.paths[tag] }

// maxAnswer bounds what is read of a file that a script wrote.
const maxAnswer = 64 << 10

// read returns the content of a file, "" when it cannot be read or is longer than maxAnswer.
func (e *exchange) read(tag string) string {
	b, _ := bounded.ReadNow(e.paths[tag], maxAnswer)
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
		_ = os.Remove(p) // it may have been moved
	}
}
