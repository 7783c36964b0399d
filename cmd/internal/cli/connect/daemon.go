package connect

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// daemon is the process that makes the tunnel.
type daemon struct {
	cmd  *exec.Cmd
	said *os.File      // what it wrote before its log was open; has no name
	over chan struct{} // closed when the process has ended
}

// startLimit bounds the time from the start of the daemon to its port.
const startLimit = 20 * time.Second

// start starts the daemon of this program, apart from the terminal.
func start(args []string) (*daemon, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// No pipe: the daemon outlives its reader under --background.
	said, err := os.CreateTemp("", "moongate-connect-")
	if err != nil {
		return nil, err
	}
	os.Remove(said.Name())
	d := &daemon{cmd: exec.Command(program, append([]string{"daemon"}, args...)...), said: said, over: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr, d.cmd.SysProcAttr = said, said, apart()
	if err := d.cmd.Start(); err != nil {
		said.Close()
		return nil, err
	}
	go func() {
		defer close(d.over)
		_ = d.cmd.Wait()
	}()
	return d, nil
}

// dial waits for the port. A daemon that ends before is the error, with its last words.
func (d *daemon) dial(ctx context.Context, sock string, o client.Options) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	over := d.over
	for {
		c, err := client.Dial(ctx, sock, o)
		if err == nil || !env.Gone(err) && ctx.Err() == nil {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the daemon's port %s: %w", sock, err)
		case <-over:
			if d.cmd.ProcessState.ExitCode() != 0 {
				return nil, fmt.Errorf("the daemon does not start: %s", d.lastWords())
			}
			over = nil // the profile sends it to the background
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// lastWords is the last line that the daemon wrote that is not its farewell.
func (d *daemon) lastWords() string {
	b, _ := io.ReadAll(io.NewSectionReader(d.said, 0, 64<<10))
	last := "it says nothing"
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "Use --help") && !strings.Contains(l, "due to fatal error") {
			last = l
		}
	}
	return env.Clean(last)
}

// end ends the daemon over its port, and the process when that is not enough.
func (d *daemon) end(c *client.Client) {
	defer d.said.Close()
	if c != nil {
		ctx, cancel := context.WithTimeout(context.Background(), endLimit)
		defer cancel()
		if _, err := c.Do(ctx, "signal", "SIGTERM"); err == nil {
			select {
			case <-c.Done():
			case <-ctx.Done():
			}
		}
	} else {
		_ = d.cmd.Process.Signal(os.Interrupt)
	}
	select {
	case <-d.over:
	case <-time.After(endLimit):
		_ = d.cmd.Process.Kill()
		<-d.over
	}
}
