package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

func fromEnv(_ context.Context, name string, o Options) (string, error) {
	text := o.Getenv(name)
	if text == "" {
		return "", fmt.Errorf("the environment variable %s is not set", name)
	}
	return text, nil
}

// fromFile reads in a goroutine: a dead network drive must not hold up the caller.
func fromFile(ctx context.Context, path string, o Options) (string, error) {
	return files.await(ctx, func() (string, error) {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer would hold it up for ever
		if err != nil {
			return "", err
		}
		defer f.Close()
		b, err := readAll(ctx, f)
		return o.wanted(string(b)), err
	})
}

// readAll reads a file, or a pipe from its first writer on.
func readAll(ctx context.Context, f *os.File) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end, limited := ctx.Deadline()
	if limited {
		_ = f.SetReadDeadline(end) // files have none
	}
	for {
		b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			<-ctx.Done() // in this moment
			return nil, ctx.Err()
		}
		if err != nil || len(b) > 0 || st.Mode().Type() != os.ModeNamedPipe {
			return b, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func fromSystemd(ctx context.Context, name string, o Options) (string, error) {
	dir := o.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", errors.New("CREDENTIALS_DIRECTORY is not set: the unit needs LoadCredential= or SetCredentialEncrypted=")
	}
	if name != filepath.Base(name) || name == ".." {
		return "", errors.New("not a credential's name")
	}
	return fromFile(ctx, filepath.Join(dir, name), o)
}

func fromPass(ctx context.Context, name string, o Options) (string, error) {
	text, err := output(ctx, o, "pass", "show", "--", name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the program pass is not installed")
	}
	return text, err
}

func fromCommand(ctx context.Context, line string, o Options) (string, error) {
	words, err := lexer.Split(line, "the command")
	if err != nil {
		return "", err
	}
	if len(words) == 0 {
		return "", errors.New("no program")
	}
	return output(ctx, o, words[0], words[1:]...)
}

// output returns all that a program prints, or the first line of it. At the deadline the program is killed with everything it started.
func output(ctx context.Context, o Options, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	Group(cmd)
	cmd.WaitDelay = 100 * time.Millisecond
	var out, complaint limited
	cmd.Stdout, cmd.Stderr = &out, &complaint
	switch err := cmd.Run(); {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil && complaint.b.Len() > 0:
		return "", fmt.Errorf("%s: %w: %s", program, err, firstLine(complaint.String()))
	case err != nil:
		return "", fmt.Errorf("%s: %w", program, err)
	}
	return o.wanted(out.String()), nil
}

// limited keeps the first bytes written to it.
type limited struct{ b bytes.Buffer }

// Write implements io.Writer.
func (l *limited) Write(b []byte) (int, error) {
	if room := maxSecret + 1 - l.b.Len(); room > 0 {
		l.b.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (l *limited) String() string { return l.b.String() }

func validKeyring(name string) bool {
	service, account, ok := strings.Cut(name, "/")
	return ok && service != "" && account != ""
}

func fromKeyring(ctx context.Context, name string, o Options) (string, error) {
	service, account, _ := strings.Cut(name, "/")
	return keyrings.await(ctx, func() (string, error) {
		text, err := keyring.Get(service, account)
		switch {
		case errors.Is(err, keyring.ErrNotFound):
			return "", fmt.Errorf("no entry for service %s, account %s", service, account)
		case err != nil:
			return "", fmt.Errorf("no keyring to ask (%w): machines without a desktop session have none, a password store, a file or a systemd credential serves there", err)
		}
		return o.wanted(text), nil
	})
}

// places bound how many calls of a source may outlive their deadlines: one that hangs for ever, asked again and again, must not fill the process.
type places chan struct{}

var files, keyrings = make(places, 32), make(places, 32)

// await runs f and gives up on it when ctx ends; f then ends by itself.
func (p places) await(ctx context.Context, f func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	select {
	case p <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-p }()
		text, err := f()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
