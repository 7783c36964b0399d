//go:build linux

package daemontest

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program running in a namespace, with its log collected. It is ended when its test ends.
type Process struct {
	cmd  *exec.Cmd
	name string
	done chan struct{} // closed when the program has ended and its output is read
	err  error         // of Wait, valid after done

	mu    sync.Mutex // guards what follows
	lines []string
	more  chan struct{} // closed and replaced with every line
}

// stockVariable in the environment is the path of the stock program that tests run against, in place of the installed one.
const stockVariable = "MOONGATE_STOCK"

// RequireOpenVPN is the path of the stock program. It skips a test where there is none.
func RequireOpenVPN(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(stockVariable); path != "" {
		return path
	}
	for _, p := range []string{"openvpn", "/usr/sbin/openvpn", "/usr/local/sbin/openvpn"} {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	t.Skip("needs the stock openvpn program")
	return ""
}

// OpenVPN starts the stock daemon in the namespace with a configuration file and further options.
func (n *Namespace) OpenVPN(t testing.TB, config string, args ...string) *Process {
	t.Helper()
	return n.Start(t, RequireOpenVPN(t), append([]string{"--config", config}, args...)...)
}

// Start starts a program in the namespace and collects both its output streams by lines.
func (n *Namespace) Start(t testing.TB, name string, args ...string) *Process {
	t.Helper()
	p := &Process{
		cmd: exec.Command(name, args...), name: name,
		done: make(chan struct{}), more: make(chan struct{}),
	}
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.cmd.WaitDelay = 2 * time.Second
	if err := n.StartIn(p.cmd); err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(func() { p.collect(r) })
	go func() {
		p.err = p.cmd.Wait()
		_ = w.Close()
		reader.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() {
			t.Logf("log of %s %s:\n%s", name, strings.Join(args, " "), p.Log())
		}
	})
	return p
}

func (p *Process) collect(r io.Reader) {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		if line != "" {
			p.mu.Lock()
			p.lines = append(p.lines, strings.TrimRight(line, "\r\n"))
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// WaitLine waits for a line that contains text, looking at all lines since the start, and returns it. The test fails when
// the time is over or the program ends first.
func (p *Process) WaitLine(t testing.TB, text string, timeout time.Duration) string {
	t.Helper()
	return p.WaitLineAfter(t, 0, text, timeout)
}

// WaitLineAfter is WaitLine for lines from number from on; see Lines.
func (p *Process) WaitLineAfter(t testing.TB, from int, text string, timeout time.Duration) string {
	t.Helper()
	return p.waitLine(t, from, strconv.Quote(text), func(line string) bool { return strings.Contains(line, text) }, timeout)
}

// WaitMatch is WaitLine for a line that re matches. It returns what re matches.
func (p *Process) WaitMatch(t testing.TB, re *regexp.Regexp, timeout time.Duration) string {
	t.Helper()
	return re.FindString(p.waitLine(t, 0, re.String(), re.MatchString, timeout))
}

// waitLine waits for a line from number from on that is wanted; what says which.
func (p *Process) waitLine(t testing.TB, from int, what string, wanted func(line string) bool, timeout time.Duration) string {
	t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for ended := false; ; {
		p.mu.Lock()
		for ; from < len(p.lines); from++ {
			if wanted(p.lines[from]) {
				line := p.lines[from]
				p.mu.Unlock()
				return line
			}
		}
		more := p.more
		p.mu.Unlock()
		if ended {
			t.Fatalf("%s ended (%v) without the line %s:\n%s", p.name, p.err, what, p.Log())
		}
		select {
		case <-more:
		case <-p.done:
			ended = true
		case <-timer.C:
			t.Fatalf("%s did not print %s within %v:\n%s", p.name, what, timeout, p.Log())
		}
	}
}

// Lines is the number of lines so far.
func (p *Process) Lines() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// Log is everything printed so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// PID is the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the program, unless it has ended.
func (p *Process) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal %s: %v", p.name, err)
	}
}

// Wait waits for the end and returns the exit status, -1 for death by signal.
func (p *Process) Wait(t testing.TB, timeout time.Duration) int {
	t.Helper()
	if !p.Ended(timeout) {
		t.Fatalf("%s still runs after %v:\n%s", p.name, timeout, p.Log())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Ended waits for the end, and reports whether it came within limit.
func (p *Process) Ended(limit time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// Stop ends the program: SIGTERM, then SIGKILL after 5 s. It is idempotent.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// RequireOpenVPN27 is the path of a stock program of 2.7, which test/openvpn27.sh unpacks. It skips a test where there is none.
func RequireOpenVPN27(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(stockVariable); path != "" {
		if out, _ := exec.Command(path, "--version").Output(); strings.HasPrefix(string(out), "OpenVPN 2.7") {
			return path
		}
	}
	cache, err := os.UserCacheDir()
	if err == nil {
		if path := filepath.Join(cache, "moongate/openvpn27/openvpn"); exec.Command(path, "--version").Run() == nil {
			return path
		}
	}
	t.Skip("needs stock openvpn 2.7: sh test/openvpn27.sh")
	return ""
}
