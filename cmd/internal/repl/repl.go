package repl

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/peterh/liner"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// Options tune the prompt.
type Options struct {
	HistoryFile string // "" for none
	Shell       Shell  // nil: management lines only
}

// flushEvery is how often notifications are written.
const flushEvery = 50 * time.Millisecond

// settle is how long the first prompt waits for questions: what a daemon asks at the start comes with the greeting.
const settle = 10 * time.Millisecond

// Texts of the prompt.
const (
	promptText = "moongate> "
	lostText   = "not connected> "
)

// session is one open prompt.
type session struct {
	e    *env.Env
	o    Options
	term *Terminal
	line *liner.State
	in   *input // nil where the terminal cannot be read with deadlines

	colour   bool
	raw      bool // lines are management lines first, notifications are shown as they come
	json     bool
	record   *os.File
	left     typed  // what was typed when a prompt was ended from outside
	unedited string // typed ahead of the next line where lines are not edited; owned by the loop

	mu struct {
		sync.Mutex
		c         *client.Client // nil: not connected
		asked     []question     // unanswered, oldest first
		following bool           // a command shows notifications itself
		switches  map[string]string
		open      bool  // the main prompt is open
		asking    bool  // another one is
		fatal     error // why there is nothing to dial any more
		relink    context.CancelFunc
		going     string // the target that the user chose, while the old session ends
	}
}

// Run shows the prompt until the user leaves (nil) or ctx ends. c is an open session of e's target; when it is lost it is dialed again.
func Run(ctx context.Context, e *env.Env, c *client.Client, o Options) error {
	s := &session{e: e, o: o, term: &Terminal{out: os.Stdout, redraw: redrawLine, plain: env.Dumb(e.Getenv)}, colour: e.Colours()}
	s.e.NoAsk = true // the terminal is the prompt's
	s.mu.c = c
	s.mu.switches = make(map[string]string)
	if s.in = newInput(); s.in != nil {
		old := os.Stdin
		os.Stdin = s.in.r
		defer func() { os.Stdin = old; s.in.close() }()
	}
	job := newJobs()
	s.line = liner.NewLiner()
	defer s.line.Close()
	job.begun()
	s.line.SetCtrlCAborts(true)
	s.line.SetTabCompletionStyle(liner.TabPrints)
	s.line.SetWordCompleter(func(line string, pos int) (string, []string, string) {
		if s.in.captured(line, pos) {
			return line, nil, ""
		}
		return s.complete(ctx, line, pos)
	})
	if err := loadHistory(o.HistoryFile, s.line.ReadHistory); err != nil {
		s.term.Print("history not read: " + err.Error() + "\n")
	}
	// Ctrl-C ends a command, not the prompt: of the signals only those that end programs end it.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	var linked sync.WaitGroup
	defer linked.Wait()
	defer cancel()
	linked.Go(func() { s.link(ctx) })
	if s.in != nil {
		linked.Go(func() { job.run(ctx, s.in.stop, s.refresh) })
		linked.Go(func() { <-ctx.Done(); s.refresh() }) // a signal ends an open prompt, not only the next one
	}
	defer s.stopRecord()
	return s.loop(ctx)
}

// conn is the open session, nil when there is none.
func (s *session) conn() *client.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.c
}

// loop reads and runs lines.
func (s *session) loop(ctx context.Context) error {
	time.Sleep(settle)
	for {
		s.mu.Lock()
		fatal := s.mu.fatal
		s.mu.Unlock()
		switch {
		case fatal != nil:
			return fatal
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if q, ok := s.question(); ok && s.left.text == "" && s.conn() != nil {
			if err := s.ask(ctx, q); err != nil && !errors.Is(err, liner.ErrPromptAborted) && !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
			continue
		}
		line, err := s.prompt()
		switch {
		case errors.Is(err, liner.ErrPromptAborted), errors.Is(err, os.ErrDeadlineExceeded): // given up, or ended to be drawn anew
			continue
		case errors.Is(err, io.EOF):
			s.term.Print("\n")
			return nil
		case err != nil:
			return err
		}
		word := strings.TrimSpace(line)
		if word == "" {
			continue // an open question is asked at the top
		}
		if storable(line) {
			s.line.AppendHistory(line)
			if err := appendHistory(s.o.HistoryFile, line); err != nil {
				s.term.Print("history not saved: " + err.Error() + "\n")
				s.o.HistoryFile = ""
			}
		}
		if word == "exit" || word == "quit" || word == `\q` {
			return nil
		}
		s.note(promptText + shown(line) + "\n")
		s.run(ctx, line)
	}
}

// prompt shows the main prompt with what is left of an earlier one.
func (s *session) prompt() (string, error) {
	s.mu.Lock()
	text := promptText
	if s.mu.c == nil {
		text = lostText
	}
	left := s.left
	s.left = typed{}
	s.mu.open = true
	s.mu.Unlock()
	s.term.open("")
	defer s.term.shut()
	line, err := s.line.PromptWithSuggestion(text, left.text, left.pos)
	if rest, ended := strings.CutSuffix(line, endPrompt); ended { // a terminal without line editing: the keys that end a prompt are a line
		s.unedited, err = s.unedited+rest, os.ErrDeadlineExceeded
	} else if err == nil {
		line, s.unedited = s.unedited+line, ""
	}
	s.mu.Lock()
	s.mu.open = false
	s.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.term.wipe()
		s.wait()
	}
	return line, err
}

// wait waits until refresh, which ended the prompt, has left the line.
func (s *session) wait() {
	s.in.flow.Lock()
	//lint:ignore SA2001 the lock is the signal
	s.in.flow.Unlock()
}

// refresh draws the main prompt anew, if it is open, with the line that is being typed.
func (s *session) refresh() {
	s.mu.Lock()
	open, asking := s.mu.open, s.mu.asking
	s.mu.Unlock()
	switch {
	case s.in == nil || !open && !asking:
		return
	case open:
		s.left = s.in.take() // the loop reads it after wait
	default:
		s.in.cut()
	}
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		open = s.mu.open || s.mu.asking
		s.mu.Unlock()
		if !open || time.Now().After(deadline) {
			break
		}
	}
	s.in.give()
}

// read asks for a line of an answer.
func (s *session) read(text string) (string, error) {
	return s.asking("", func() (string, error) { return s.line.Prompt(text) })
}

// hidden asks without showing what is typed.
func (s *session) hidden(text string) (string, error) {
	return s.asking(text, func() (string, error) { return s.line.PasswordPrompt(text) })
}

// asking runs a prompt that belongs to the session: when that is lost, the prompt ends.
func (s *session) asking(secret string, ask func() (string, error)) (string, error) {
	set := func(on bool) {
		s.mu.Lock()
		s.mu.asking = on
		s.mu.Unlock()
	}
	s.term.open(secret)
	defer s.term.shut()
	set(true)
	line, err := ask()
	set(false)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.term.wipe()
		s.wait()
	}
	return line, err
}

// run runs one line: a command of the prompt, of the shell's tree, or a management line. Ctrl-C ends it.
func (s *session) run(ctx context.Context, line string) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	trimmed := strings.TrimSpace(line)
	if strings.HasPrefix(trimmed, `\`) {
		s.meta(ctx, trimmed)
		return
	}
	words, err := lexer.Split(trimmed, "prompt")
	if err != nil || len(words) == 0 {
		s.send(ctx, line) // the daemon says what is wrong with it
		return
	}
	known := mgmt.Lookup(words[0]) != nil
	if s.o.Shell != nil && words[0] != "password" && words[0] != "username" && !(s.raw && known) {
		if words[0] == "help" {
			s.help(ctx, words[1:])
			return
		}
		fit := s.o.Shell.Fit(words)
		switch {
		case fit.Refused != "" && !known:
			s.print(fit.Refused + "\n")
			return
		case fit.OK && fit.Refused == "":
			s.setFollowing(fit.Follows)
			s.shell(ctx, words, fit)
			s.restore()
			s.setFollowing(false)
			if ctx.Err() != nil {
				s.print("\n")
			}
			if len(words) > 1 {
				s.answered(words[0], words[1])
			}
			return
		}
	}
	s.send(ctx, line)
}

// off takes back each of the switches that a session has.
var off = map[string]string{"state": "state off", "log": "log off", "echo": "echo off", "bytecount": "bytecount 0"}

// restore takes back what a command switched on for itself, and puts in force again what the user had switched on.
func (s *session) restore() {
	c := s.conn()
	if c == nil {
		return // the next session begins with what the user switched on
	}
	s.mu.Lock()
	want := maps.Clone(s.mu.switches)
	s.mu.Unlock()
	have := c.Switches()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // the command's own may have been interrupted
	defer cancel()
	for _, word := range slices.Sorted(maps.Keys(off)) {
		line := want[word]
		if line == off[word] {
			line = ""
		}
		switch {
		case have[word] == line:
		case line == "":
			_, _ = c.Cmd(ctx, off[word]) // a daemon that is gone has switched it off
		default:
			_, _ = c.Cmd(ctx, line)
		}
	}
}

func (s *session) setFollowing(on bool) {
	s.mu.Lock()
	s.mu.following = on
	s.mu.Unlock()
}

// send sends a management line and prints the reply.
func (s *session) send(ctx context.Context, line string) {
	params, _ := lexer.Split(line, "prompt")
	if len(params) == 2 && params[0] == "password" { // without the text: ask for it hidden
		text, err := s.hidden(params[1] + " password: ")
		if err != nil {
			return
		}
		line = client.Line("password", params[1], text)
	}
	var block []string
	if client.IsBlock(line) {
		var err error
		if block, err = s.block(); err != nil {
			return
		}
	}
	c := s.conn()
	if c == nil {
		s.print("not connected: the daemon is being dialed; what you type is kept\n")
		return
	}
	var r client.Reply
	var err error
	if client.IsBlock(line) {
		r, err = c.Block(ctx, line, block)
	} else {
		r, err = c.Cmd(ctx, line)
	}
	var b strings.Builder
	for _, l := range r.Raw {
		b.WriteString(env.Clean(l) + "\n")
	}
	var reply *client.ReplyError
	switch {
	case errors.Is(err, context.Canceled):
		b.WriteString("interrupted; the daemon may have done it\n")
	case err != nil && !errors.As(err, &reply):
		b.WriteString(err.Error() + "\n")
	case errors.As(err, &reply) && len(params) > 0:
		if near := s.suggestion(params[0]); near != "" {
			b.WriteString(near + "\n")
		}
	case err == nil && len(params) > 1:
		s.answered(params[0], params[1])
		s.switched(params)
	}
	s.page(b.String())
}

// switched remembers what the user switched on, for the session after this one.
func (s *session) switched(params []string) {
	switch params[0] {
	case "state", "log", "echo":
		if params[1] != "on" && params[1] != "off" {
			return
		}
		params = params[:2]
	case "bytecount", "env-filter", "version":
	default:
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.switches[params[0]] = client.Line(append([]string(nil), params...)...)
}

// block reads lines up to END.
func (s *session) block() ([]string, error) {
	var lines []string
	for {
		l, err := s.read("... ")
		if err != nil {
			return nil, err
		}
		if l == "END" {
			return lines, nil
		}
		lines = append(lines, l)
	}
}

// print shows text and adds it to the record.
func (s *session) print(text string) {
	s.note(text)
	s.term.Print(text)
}

// note adds text to the record, without its colours. A record that cannot be written ends.
func (s *session) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record == nil {
		return
	}
	if _, err := s.record.WriteString(ansi.Strip(text)); err != nil {
		s.record.Close()
		s.record = nil
		s.term.Print("recording ended: " + err.Error() + "\n")
	}
}
