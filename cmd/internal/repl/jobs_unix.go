//go:build unix

package repl

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// jobs stops and continues the prompt as the shell that started it expects: Ctrl-Z stops it with the terminal as it was, and when it goes
// on, however it was stopped, the terminal and the half-typed line are back. A shell hands the terminal over in modes of its own.
type jobs struct {
	before, within *term.State // before the prompt began, and while a command runs
}

// newJobs must be called before the line editor changes the terminal, and begun after that.
func newJobs() *jobs {
	before, err := term.GetState(syscall.Stdin)
	if err != nil {
		return nil // no terminal
	}
	return &jobs{before: before}
}

func (j *jobs) begun() {
	if j != nil {
		j.within, _ = term.GetState(syscall.Stdin)
	}
}

// settled is long enough for a stop to take hold.
const settled = 50 * time.Millisecond

// run stops the processes of this job at each message of stop, and draws the prompt anew each time they go on, until ctx ends.
func (j *jobs) run(ctx context.Context, stop <-chan struct{}, refresh func()) {
	if j == nil || j.within == nil {
		return
	}
	goes := make(chan os.Signal, 1)
	signal.Notify(goes, syscall.SIGCONT)
	defer signal.Stop(goes)
	for {
		select {
		case <-ctx.Done():
			return
		case <-goes:
		case <-stop:
			_ = term.Restore(syscall.Stdin, j.before)
			_ = syscall.Kill(0, syscall.SIGTSTP) // does nothing without a shell that could continue us
			time.Sleep(settled)
			select {
			case <-goes:
			default:
			}
		}
		_ = term.Restore(syscall.Stdin, j.within)
		refresh()
	}
}
