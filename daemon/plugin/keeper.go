package plugin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keeper is the daemon's end of the helper program.
type keeper struct {
	control *net.UnixConn
	cmd     *exec.Cmd
	mu      sync.Mutex               // guards ends
	ends    map[int]chan<- exitState // who waits for the end of a worker, by index
	gone    chan struct{}            // closed when the keeper does not speak any more
}

// exitState tells how a worker ended.
type exitState syscall.WaitStatus

func (s exitState) String() string {
	w := syscall.WaitStatus(s)
	if w.Signaled() {
		return fmt.Sprintf("it was ended by signal %d (%s)", int(w.Signal()), w.Signal())
	}
	return fmt.Sprintf("it exited with status %d", w.ExitStatus())
}

var errKeeper = errors.New("the helper program has ended")

// startKeeper runs the helper with its setup. stdout and stderr get what plugins print.
func startKeeper(path string, setup message, stdout, stderr io.Writer) (*keeper, error) {
	if len(setup) > maxMessage {
		return nil, fmt.Errorf("set up plugins: %w", errTooLong)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path) //nolint:gosec // the installation's own
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = []string{}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("start %s: %w", helperName, err)
	}
	k := &keeper{control: ours, cmd: cmd, ends: make(map[int]chan<- exitState), gone: make(chan struct{})}
	go k.listen()
	if _, err := ours.Write(setup); err != nil {
		k.close()
		return nil, fmt.Errorf("set up plugins: %w", err)
	}
	return k, nil
}

// listen hands on the ends of workers, and ends with the keeper.
func (k *keeper) listen() {
	defer close(k.gone)
	b := make([]byte, 64)
	for {
		n, err := k.control.Read(b)
		if n == 0 || err != nil {
			return
		}
		e, err := parseEnded(b[:n])
		if err != nil {
			return
		}
		k.mu.Lock()
		if c := k.ends[int(e.index)]; c != nil {
			c <- exitState(e.status)
			delete(k.ends, int(e.index))
		}
		k.mu.Unlock()
	}
}

// start has the keeper start the worker with an index. The channel gets how it ended.
func (k *keeper) start(index int) (*net.UnixConn, <-chan exitState, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	end := make(chan exitState, 1)
	k.mu.Lock()
	k.ends[index] = end
	k.mu.Unlock()
	err = k.say(message("S").number(uint32(index)), unix.UnixRights(int(theirs.Fd())))
	if err != nil {
		ours.Close()
		return nil, nil, err
	}
	return ours, end, nil
}

func (k *keeper) kill(index int) { _ = k.say(message("K").number(uint32(index)), nil) }

// dropped tells the keeper that every worker from now on drops its privileges after it has opened its plugin.
func (k *keeper) dropped() error { return k.say(message("D").number(0), nil) }

func (k *keeper) say(m message, rights []byte) error {
	if _, _, err := k.control.WriteMsgUnix(m, rights, nil); err != nil {
		return errKeeper
	}
	return nil
}

// keeperPatience is how long the keeper may take to end: it gives its workers 5 s.
const keeperPatience = 7 * time.Second

func (k *keeper) close() {
	k.control.Close()
	kill := time.AfterFunc(keeperPatience, func() { _ = k.cmd.Process.Kill() })
	_ = k.cmd.Wait()
	kill.Stop()
	<-k.gone
}

// socketPair is a connection and a file for a child.
func socketPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair for plugins: %w", err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		// A message goes in one piece or not at all: room for the largest, where the system grants it.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 2*maxMessage)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "plugin"), os.NewFile(uintptr(fds[1]), "plugin")
	defer ours.Close()
	c, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), theirs, nil
}
