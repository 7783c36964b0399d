package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/script"
)

// Supported reports whether children can be had on this system.
const Supported = true

// Output is where the words of a script go. All functions are called by one goroutine.
type Output struct {
	Log    *slog.Logger
	Print  func(text string)
	Status func(mgmt.ScriptStatus)
	Ask    func(context.Context, script.Question) (string, error) // called by goroutines of their own
}

// Child is a script at work in a process of its own.
type Child struct {
	cmd     *exec.Cmd
	control *os.File
	out     Output
	sending sync.Mutex
	ready   chan error

	asking    sync.Mutex                 // guards questions
	questions map[int]context.CancelFunc // that are open, by number

	complaint lastWords // of its Go runtime
	oomKills  uint64    // of the kernel, when it was started

	addresses script.Addresses
	taken     map[string]bool // addresses; of the reader

	probing atomic.Bool
	alive   chan struct{} // room for one: a sign of life came
	silent  atomic.Pointer[error]

	done chan struct{}
	err  error
}

// Start starts a child of this program for the script. serve is given the other end of its management session and is to return
// when that is over.
func Start(ctx context.Context, spec Spec, serve func(net.Conn), out Output) (*Child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the script's process: %w", err)
	}
	source, err := os.ReadFile(spec.Path)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	written, err := write(paper{spec, source})
	if err != nil {
		return nil, err
	}
	defer written.Close()
	session, err := pair("session")
	if err != nil {
		return nil, err
	}
	defer session[1].Close()
	control, err := pair("control")
	if err != nil {
		session[0].Close()
		return nil, err
	}
	defer control[1].Close()
	conn, err := net.FileConn(session[0])
	session[0].Close()
	if err != nil {
		control[0].Close()
		return nil, err
	}
	c := &Child{
		control: control[0], out: out, ready: make(chan error, 1), done: make(chan struct{}), questions: make(map[int]context.CancelFunc), alive: make(chan struct{}, 1),
		addresses: script.AddressesOf(spec.Path), taken: make(map[string]bool), oomKills: oomKills(),
	}
	c.cmd = &exec.Cmd{
		Path: exe, Args: []string{"moongate", word}, Env: os.Environ(),
		ExtraFiles: []*os.File{session[1], control[1], written}, SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	c.cmd.Stderr, c.cmd.WaitDelay = &c.complaint, time.Second
	if err := c.cmd.Start(); err != nil {
		conn.Close()
		control[0].Close()
		return nil, fmt.Errorf("start the script's process: %w", err)
	}
	go func() {
		defer conn.Close()
		serve(conn)
	}()
	go c.run(ctx, conn)
	return c, nil
}

// write puts p into a file that has no name.
func write(p paper) (*os.File, error) {
	fd, err := unix.MemfdCreate("script", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("start the script's process: %w", err)
	}
	f := os.NewFile(uintptr(fd), "script")
	if err := json.NewEncoder(f).Encode(p); err != nil {
		f.Close()
		return nil, fmt.Errorf("start the script's process: %w", err)
	}
	return f, nil
}

// pair is a socket pair; both ends close at exec.
func pair(name string) ([2]*os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return [2]*os.File{}, fmt.Errorf("start the script's process: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // the parent's end has deadlines
		return [2]*os.File{}, err
	}
	return [2]*os.File{os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)}, nil
}

// run reads what the child tells until it has ended.
func (c *Child) run(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() {
		c.kill()
		_ = c.control.SetReadDeadline(time.Now().Add(time.Second)) // a process of its may hold the other end
	})
	defer stop()
	last := c.listen(ctx)
	for name := range c.taken {
		c.leave(name)
	}
	_ = conn.Close()
	_ = c.control.Close() // a child that goes on after its last word ends now
	late := time.AfterFunc(time.Second, c.kill)
	err := c.cmd.Wait()
	late.Stop()
	c.err = c.outcome(ctx, last, err)
	c.tellReady(c.err)
	close(c.done)
}

// listen acts on what the child tells until it tells nothing more, and returns its last word, nil without one.
func (c *Child) listen(ctx context.Context) (last *end) {
	asked, cancel := context.WithCancel(ctx) // its questions end with it
	defer cancel()
	in := newReader(c.control)
	for {
		m, err := in.next()
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil && last == nil {
				c.kill() // it does not speak our language
			}
			return last
		}
		if m.End != nil {
			last = m.End
			continue
		}
		c.hear(asked, m)
	}
}

// hear acts on one message of the child.
func (c *Child) hear(ctx context.Context, m message) {
	switch {
	case m.Ready:
		c.tellReady(nil)
	case m.Log != nil:
		attrs := make([]slog.Attr, len(m.Log.Attrs))
		for i, a := range m.Log.Attrs {
			attrs[i] = slog.String(a[0], a[1])
		}
		c.out.Log.LogAttrs(ctx, m.Log.Level, m.Log.Text, attrs...)
	case m.Print != nil:
		c.out.Print(*m.Print)
	case m.Status != nil:
		c.out.Status(*m.Status)
	case m.Ask != nil:
		ask, cancel := context.WithCancel(ctx)
		c.asking.Lock()
		c.questions[m.Ask.ID] = cancel
		c.asking.Unlock()
		go c.ask(ask, *m.Ask)
	case m.Take != nil:
		c.take(*m.Take)
	case m.Leave != "":
		c.leave(m.Leave)
	case m.Alive:
		select {
		case c.alive <- struct{}{}:
		default:
		}
	case m.Unask != 0:
		c.unask(m.Unask)
	}
}

// outcome is the error of a child that has ended: its last word, else why it was ended, else how its process ended (err).
func (c *Child) outcome(ctx context.Context, last *end, err error) error {
	switch {
	case last != nil:
		return last.err()
	case ctx.Err() != nil:
		return ctx.Err()
	case c.silent.Load() != nil:
		return *c.silent.Load()
	case err != nil:
		return fmt.Errorf("its process died: %v%s", err, c.why()) // not wrapped: it has an exit code, and did not choose it
	}
	return errors.New("its process ended without a word")
}

// take answers a child that is about to serve.
func (c *Child) take(p place) {
	a := &answer{ID: p.ID}
	shared, err := c.addresses.Take(p.Name)
	switch {
	case err != nil:
		a.Error = err.Error()
	case c.taken[p.Name]: // its own
		c.addresses.Leave(p.Name)
		a.Text = "shared"
	default:
		c.taken[p.Name] = true
		if shared {
			a.Text = "shared"
		}
	}
	c.send(message{Answer: a})
}

func (c *Child) leave(name string) {
	if c.taken[name] {
		delete(c.taken, name)
		c.addresses.Leave(name)
	}
}

// unask ends a question.
func (c *Child) unask(id int) {
	c.asking.Lock()
	defer c.asking.Unlock()
	if cancel := c.questions[id]; cancel != nil {
		cancel()
		delete(c.questions, id)
	}
}

// ask has the parent ask. A script has at most a handful of questions open: it counts them itself, and its process is ours.
func (c *Child) ask(ctx context.Context, q question) {
	defer c.unask(q.ID)
	text, err := "", errors.New("nobody can be asked here")
	if c.out.Ask != nil {
		text, err = c.out.Ask(ctx, q.Question)
	}
	a := &answer{ID: q.ID, Text: text}
	if err != nil {
		a.Error = err.Error()
	}
	c.send(message{Answer: a})
}

func (c *Child) tellReady(err error) {
	select {
	case c.ready <- err:
	default:
	}
}

func (c *Child) kill() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }

// send gives a message to the child. One that does not read is ended.
func (c *Child) send(m message) {
	c.sending.Lock()
	defer c.sending.Unlock()
	b, err := json.Marshal(m)
	if err != nil {
		return
	}
	_ = c.control.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.control.Write(append(b, '\n')); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, syscall.EPIPE) {
		c.kill()
	}
}

// Patience with a process that gives no sign of life. A machine with much to do keeps one waiting; one that was stopped does not go on by itself.
const (
	patience   = 5 * time.Second
	probeEvery = 50 * time.Millisecond
)

// Probe asks for a sign of life, and ends the process if none comes, or if it was stopped. It returns at once.
func (c *Child) Probe() {
	if !c.probing.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer c.probing.Store(false)
		select {
		case <-c.alive: // of an earlier one
		default:
		}
		go c.send(message{Probe: true}) // it may have to wait, too
		late := time.NewTimer(patience)
		defer late.Stop()
		tick := time.NewTicker(probeEvery)
		defer tick.Stop()
		for {
			var why error
			select {
			case <-c.alive:
				return
			case <-c.done:
				return
			case <-late.C:
				why = fmt.Errorf("its process gave no sign of life for %v, and was ended", patience)
			case <-tick.C:
				if !c.stopped() {
					continue
				}
				why = errors.New("its process was stopped by a signal, and was ended")
			}
			c.silent.Store(&why)
			c.kill()
			return
		}
	}()
}

// stopped reports whether a signal stopped the process.
func (c *Child) stopped() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, c.cmd.Process.Pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo == int32(unix.SIGCHLD)
}

// PID is the child's process.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Ready receives nil when the main chunk has run without an error, or the error the script ended with.
func (c *Child) Ready() <-chan error { return c.ready }

// Begin lets the script handle events: those since its main chunk ended, and with all those before too.
func (c *Child) Begin(all bool) { c.send(message{Begin: &begin{all}}) }

// Drain ends the script when the handlers that run have ended.
func (c *Child) Drain() { c.send(message{Drain: true}) }

// Stop ends the script at once, and waits for it.
func (c *Child) Stop() {
	c.kill()
	<-c.done
}

// Done is closed when the process has ended; Err then tells how.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err tells how the script ended: as script.Run tells it, or that its process died.
func (c *Child) Err() error { return c.err }
