package repl

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
)

// Shell is the command tree, as the prompt uses it: the same words as on the command line of the system.
type Shell interface {
	// Fit tells whether words are a command of the tree.
	Fit(words []string) Fit
	// Run runs a command in a world of its own and prints its error there.
	Run(ctx context.Context, e *env.Env, words []string) error
	// Complete lists what may stand after words and starts with prefix.
	Complete(ctx context.Context, e *env.Env, words []string, prefix string) []string
}

// Fit tells how a line fits a command tree.
type Fit struct {
	OK      bool   // a command with the right number of arguments, or with flags
	Refused string // a command that the prompt does not run, and why
	Follows bool   // it goes on until interrupted
	JSON    bool   // it can print JSON
}

// world is the environment of a command at the prompt: the session is shared, output goes above the prompt.
func (s *session) world(out, errs writer) *env.Env {
	e := &env.Env{In: strings.NewReader(""), Out: out, Err: errs, Getenv: s.e.Getenv, CheckConfig: s.e.CheckConfig, Session: s.conn(), NoAsk: true, Timeout: s.e.Timeout}
	if t, err := s.e.Target(); err == nil {
		e.SetTarget(t)
	}
	e.OutTTY = true
	e.Width, _, _ = term.GetSize(int(os.Stdout.Fd()))
	return e
}

// writer takes what a command prints.
type writer interface{ Write(p []byte) (int, error) }

// liveWriter prints whole lines as they come.
type liveWriter struct {
	print func(string)
	part  []byte
}

func (l *liveWriter) Write(p []byte) (int, error) {
	l.part = append(l.part, p...)
	if i := bytes.LastIndexByte(l.part, '\n'); i >= 0 {
		l.print(string(l.part[:i+1]))
		l.part = append([]byte(nil), l.part[i+1:]...)
	}
	return len(p), nil
}

// shell runs a command of the tree. A long output goes through the pager.
func (s *session) shell(ctx context.Context, words []string, fit Fit) {
	if s.json && fit.JSON {
		words = append([]string{"--json"}, words...)
	}
	if fit.Follows {
		out := &liveWriter{print: s.print}
		_ = s.o.Shell.Run(ctx, s.world(out, out), words)
		return
	}
	var out bytes.Buffer
	_ = s.o.Shell.Run(ctx, s.world(&out, &out), words)
	s.page(out.String())
}

// page prints text, through the pager when it is longer than the screen.
func (s *session) page(text string) {
	s.note(text)
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || s.in == nil || s.term.plain || rows(text, width) < height {
		s.term.Print(text)
		return
	}
	pager := s.pager()
	if pager == nil {
		s.term.Print(text)
		return
	}
	s.term.lend(func() {
		s.in.lend(func(tty *os.File) {
			pager.Stdin, pager.Stdout, pager.Stderr = strings.NewReader(text), os.Stdout, os.Stderr
			if err := pager.Run(); err != nil {
				os.Stdout.WriteString(text)
			}
		})
	})
}

// pager is MOONGATE_PAGER, PAGER or less; nil for none ("" or cat).
func (s *session) pager() *exec.Cmd {
	words := []string{"less", "-FRX", "-Psspace goes on, q leaves"}
	for _, name := range []string{"PAGER", "MOONGATE_PAGER"} {
		if v, set := os.LookupEnv(name); set {
			words = strings.Fields(v)
		}
	}
	if len(words) == 0 || words[0] == "cat" {
		return nil
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return nil
	}
	return exec.Command(path, words[1:]...)
}

// rows counts the rows that text takes.
func rows(text string, width int) int {
	n := 0
	for l := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		n += 1 + max(0, runewidth.StringWidth(l)-1)/max(1, width)
	}
	return n
}
