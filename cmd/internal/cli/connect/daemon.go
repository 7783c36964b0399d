package connect

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/daemon/owner"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// daemon is the process that makes the tunnel.
type daemon struct {
	cmd  *exec.Cmd
	hold *owner.Hold   // its end, in whatever way this program ends, is the daemon's
	last string        // line that it wrote, for a reader behind over
	over chan struct{} // closed when the process has ended
	gone bool          // it has, and another one took its place in the background
}

// background bounds the time from the end of a daemon that goes to the background to the port of its successor.
const background = 5 * time.Second

// start starts the daemon of a program, apart from the terminal.
func start(program string, args []string) (*daemon, error) {
	said, theirs, err := os.Pipe() // a daemon that is let go writes to nobody, and goes on
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	d := &daemon{cmd: exec.Command(program, append([]string{"daemon"}, args...)...), over: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr, d.cmd.SysProcAttr = theirs, theirs, apart()
	if d.hold, err = owner.New(d.cmd, d.cmd.Start); err != nil {
		said.Close()
		return nil, err
	}
	go func() {
		defer close(d.over)
		defer said.Close()
		read := make(chan struct{})
		go func() {
			defer close(read)
			d.read(said)
		}()
		_ = d.cmd.Wait() // the exit code tells
		_ = said.SetReadDeadline(time.Now().Add(lastWords))
		<-read
	}()
	return d, nil
}

// lastWords bounds the wait for what a daemon wrote before its end: programs that its scripts left behind may hold the pipe open.
const lastWords = 200 * time.Millisecond

var stamp = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)

// failed is the error of a daemon that ended before its port was open.
func (d *daemon) failed() error {
	last := d.last
	if last == "" {
		last = "the daemon ended without a word"
	}
	return cause{text: "the tunnel cannot be made on this machine: " + last, kind: errMachine}
}

// lost is the error of a daemon that is gone without telling why, when the session was lost by err.
func (d *daemon) lost(err error) error {
	text := "the daemon of this connection is gone: run it again"
	switch {
	case d.gone || !d.ended(moment):
	case d.cmd.ProcessState.Success():
		text = reasons[mgmt.SIGTERM]
	case d.cmd.ProcessState.ExitCode() < 0:
		text = fmt.Sprintf("the daemon of this connection was killed (%v): run it again", d.cmd.ProcessState)
	case d.last != "":
		text = "the daemon of this connection failed: " + d.last
	}
	return fmt.Errorf("%s: %w", text, err)
}

// read reads what the daemon writes to its end and keeps the last line that is not its farewell.
func (d *daemon) read(said io.Reader) {
	for lines := bufio.NewReader(said); ; {
		l, err := lines.ReadString('\n')
		l = stamp.ReplaceAllString(strings.TrimSpace(l), "")
		farewell := strings.HasPrefix(l, "Use --help") || strings.Contains(l, "due to fatal error") || strings.HasPrefix(l, "Signal received from management interface")
		if l != "" && !farewell {
			d.last = env.Clean(l)
		}
		if err != nil {
			return
		}
	}
}

// dial waits for the port. A daemon that ends before is the error, with its last words.
func (d *daemon) dial(ctx context.Context, sock string, o client.Options) (*client.Client, error) {
	over := d.over
	var patience <-chan time.Time
	for {
		c, err := client.Dial(ctx, sock, o)
		if err == nil || !env.Gone(err) && ctx.Err() == nil {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the daemon's port %s: %w", sock, ctx.Err())
		case <-over:
			if d.cmd.ProcessState.ExitCode() != 0 {
				return nil, d.failed()
			}
			d.gone, over, patience = true, nil, time.After(background) // the profile may have sent it to the background
		case <-patience:
			return nil, d.failed()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// letGo leaves the daemon alone.
func (d *daemon) letGo() error {
	defer d.hold.Close()
	return d.hold.LetGo()
}

// end ends the daemon over its port, and the process when that is not enough. limit bounds the time for its farewell: an exit notification,
// scripts, and routes taken back. slow is called when it needs more than a moment.
func (d *daemon) end(c *client.Client, limit time.Duration, slow func()) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	told := time.AfterFunc(moment, slow)
	defer told.Stop()
	if c != nil {
		if _, err := c.Do(ctx, "signal", "SIGTERM"); err == nil {
			select {
			case <-c.Done():
			case <-ctx.Done():
			}
		}
	}
	d.hold.Close()
	select {
	case <-d.over:
		return
	case <-ctx.Done():
	}
	if c != nil && d.ended(moment) {
		return
	}
	_ = d.cmd.Process.Kill()
	d.ended(moment)
}

// ended waits for the end of the process.
func (d *daemon) ended(limit time.Duration) bool {
	select {
	case <-d.over:
		return true
	case <-time.After(limit):
		return false
	}
}

// moment is a time that nobody asks about.
const moment = 2 * time.Second

// endLimit bounds the time a daemon gets to end.
const endLimit = 15 * time.Second

// endLimit is less while the daemon has changed nothing on this machine.
func (s *session) endLimit() time.Duration {
	if s.set {
		return endLimit
	}
	return endLimit / 3
}
