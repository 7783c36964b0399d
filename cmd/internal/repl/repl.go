package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/peterh/liner"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// Options tune the prompt.
type Options struct {
	HistoryFile string // "" for none
	Target      string // shown in the prompt
}

// flushEvery is how often notifications are written.
const flushEvery = 50 * time.Millisecond

// session is one open prompt.
type session struct {
	c     *client.Client
	term  *Terminal
	line  *liner.State
	stdin *os.File // for cancelling, may be nil

	mu struct {
		sync.Mutex
		asked []question // unanswered, oldest first
	}
}

// question is a prompt of the daemon that waits for an answer.
type question struct {
	kind, typ string
	username  bool
	challenge string
	hidden    bool // of the challenge
}

// Run shows the prompt until the user leaves (nil), the session is lost or ctx ends.
func Run(ctx context.Context, c *client.Client, o Options) error {
	s := &session{c: c, term: &Terminal{out: os.Stdout, redraw: redrawLine}}
	if s.stdin = cancellableStdin(); s.stdin != nil {
		old := os.Stdin
		os.Stdin = s.stdin
		defer func() { os.Stdin = old; s.stdin.Close() }()
	}
	s.line = liner.NewLiner()
	defer s.line.Close()
	s.line.SetCtrlCAborts(true)
	s.line.SetTabCompletionStyle(liner.TabPrints)
	s.line.SetWordCompleter(func(line string, pos int) (string, []string, string) { return complete(s, line, pos) })
	if err := loadHistory(o.HistoryFile, s.line.ReadHistory); err != nil {
		s.term.Print("history not read: " + err.Error() + "\n")
	}
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel()
	sub := c.Subscribe()
	reader.Go(func() { s.follow(ctx, sub) })
	err := s.loop(ctx)
	if herr := saveHistory(o.HistoryFile, s.line.WriteHistory); herr != nil {
		s.term.Print("history not saved: " + herr.Error() + "\n")
	}
	return err
}

// loop reads and runs lines.
func (s *session) loop(ctx context.Context) error {
	time.Sleep(flushEvery) // what the daemon asks at the start comes with the greeting
	for {
		if err := s.c.Err(); err != nil {
			return err
		}
		if q, ok := s.question(); ok {
			if err := s.ask(ctx, q); err != nil && !errors.Is(err, liner.ErrPromptAborted) {
				return s.ended(ctx, err)
			}
		}
		line, err := s.prompt("moongate> ")
		switch {
		case errors.Is(err, liner.ErrPromptAborted):
			continue
		case errors.Is(err, io.EOF):
			s.term.Print("\n")
			return nil
		case err != nil:
			return s.ended(ctx, err)
		}
		word := strings.TrimSpace(line)
		if word == "" {
			continue // an open question is asked at the top
		}
		if storable(line) {
			s.line.AppendHistory(line)
		}
		if word == "exit" || word == "quit" {
			return nil
		}
		if err := s.run(ctx, line); err != nil {
			return s.ended(ctx, err)
		}
	}
}

// ended is the reason a cancelled prompt stands for.
func (s *session) ended(ctx context.Context, err error) error {
	if lost := s.c.Err(); lost != nil {
		return lost
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (s *session) prompt(text string) (string, error) {
	s.term.open("")
	defer s.term.shut()
	return s.line.Prompt(text)
}

func (s *session) hidden(text string) (string, error) {
	s.term.open(text)
	defer s.term.shut()
	return s.line.PasswordPrompt(text)
}

// run sends one line and prints the reply. Only the end of the session is an error.
func (s *session) run(ctx context.Context, line string) error {
	params, _ := lexer.Split(line, "prompt")
	if len(params) == 2 && params[0] == "password" { // without the text: ask for it hidden
		text, err := s.hidden(params[1] + " password: ")
		if err != nil {
			return nilIfAborted(err)
		}
		line = client.Line("password", params[1], text)
	}
	var r client.Reply
	var err error
	if client.IsBlock(line) {
		var block []string
		if block, err = s.block(); err != nil {
			return nilIfAborted(err)
		}
		r, err = s.c.Block(ctx, line, block)
	} else {
		r, err = s.c.Cmd(ctx, line)
	}
	var b strings.Builder
	for _, l := range r.Raw {
		b.WriteString(env.Clean(l) + "\n")
	}
	var reply *client.ReplyError
	switch {
	case errors.Is(err, client.ErrLost), ctx.Err() != nil:
		return err
	case err != nil && !errors.As(err, &reply):
		b.WriteString(err.Error() + "\n")
	case err == nil && len(params) > 1:
		s.answered(params[0], params[1])
	}
	s.term.Print(b.String())
	return nil
}

func nilIfAborted(err error) error {
	if errors.Is(err, liner.ErrPromptAborted) {
		return nil
	}
	return err
}

// block reads lines up to END.
func (s *session) block() ([]string, error) {
	var lines []string
	for {
		l, err := s.prompt("... ")
		if err != nil {
			return nil, err
		}
		if l == "END" {
			return lines, nil
		}
		lines = append(lines, l)
	}
}

// follow prints notifications, collected, until the session or ctx ends; the end cancels an open prompt.
func (s *session) follow(ctx context.Context, sub *client.Subscription) {
	defer sub.Close()
	for {
		n, err := sub.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.term.Print(err.Error() + "\n")
			}
			if s.stdin != nil {
				_ = s.stdin.SetReadDeadline(time.Unix(1, 0))
			}
			return
		}
		var b strings.Builder
		s.show(&b, n)
		select {
		case <-time.After(flushEvery):
		case <-ctx.Done():
		}
		for {
			n, ok := sub.TryNext()
			if !ok {
				break
			}
			s.show(&b, n)
		}
		s.term.Print(b.String())
	}
}

// show adds a notification's lines and remembers what it asks for.
func (s *session) show(b *strings.Builder, n client.Notification) {
	for _, l := range client.NotificationLines(n) {
		b.WriteString(env.Clean(client.Redact(l)) + "\n")
	}
	if rest, ok := strings.CutPrefix(n.Text, "info,"+mgmt.NotifyAnswered+","); ok && n.Kind == mgmt.KindNotify {
		kind, typ, _ := strings.Cut(rest, ",")
		s.forget(kind, typ)
		return
	}
	q, ok := readQuestion(n)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.mu.asked {
		if old == q {
			return
		}
	}
	s.mu.asked = append(s.mu.asked, q)
	if q.kind == mgmt.KindPassword {
		fmt.Fprintf(b, "(press Enter on an empty line to answer '%s')\n", env.Clean(q.typ))
	}
}

// readQuestion reads a prompt that wants an answer with a type.
func readQuestion(n client.Notification) (question, bool) {
	q := question{kind: n.Kind}
	switch n.Kind {
	case mgmt.KindNeedOK, mgmt.KindNeedStr:
		asked, err := mgmt.ParseQuestion(n.Text)
		q.typ = asked.Type
		return q, err == nil
	case mgmt.KindPassword:
	default:
		return q, false
	}
	need, err := mgmt.ParseNeed(n.Text)
	if err != nil {
		return q, false
	}
	q.typ, q.username = need.Type, need.Username
	if c := need.Challenge; c != nil && !c.Concat { // else answered as part of the password
		q.challenge, q.hidden = c.Text, !c.Echo
	}
	return q, true
}

// question is the oldest open password prompt.
func (s *session) question() (question, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.mu.asked {
		if q.kind == mgmt.KindPassword {
			return q, true
		}
	}
	return question{}, false
}

// answered forgets the question a command answered.
func (s *session) answered(command, typ string) {
	kind, ok := map[string]string{"password": mgmt.KindPassword, "needok": mgmt.KindNeedOK, "needstr": mgmt.KindNeedStr}[command]
	if ok {
		s.forget(kind, typ)
	}
}

// forget drops a question that somebody answered.
func (s *session) forget(kind, typ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []question
	for _, q := range s.mu.asked {
		if q.kind != kind || q.typ != typ {
			left = append(left, q)
		}
	}
	s.mu.asked = left
}

// ask answers a password prompt. Giving up with Ctrl-C leaves it to others; the question is then not asked again by itself.
func (s *session) ask(ctx context.Context, q question) error {
	s.answered("password", q.typ)
	var user, response string
	var err error
	if q.username {
		if user, err = s.prompt(q.typ + " username: "); err != nil {
			return err
		}
	}
	password, err := s.hidden(q.typ + " password: ")
	if err != nil {
		return err
	}
	if q.challenge != "" {
		text := env.Clean(q.challenge) + " "
		if q.hidden {
			response, err = s.hidden(text)
		} else {
			response, err = s.prompt(text)
		}
		if err != nil {
			return err
		}
		password = mgmt.StaticResponse(password, response)
	}
	if q.username {
		if err := s.run(ctx, client.Line("username", q.typ, user)); err != nil {
			return err
		}
	}
	return s.run(ctx, client.Line("password", q.typ, password))
}

// Types are the types asked for by open prompts of a kind.
func (s *session) Types(kind string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var types []string
	for _, q := range s.mu.asked {
		if q.kind == kind {
			types = append(types, q.typ)
		}
	}
	return types
}

// Clients asks the daemon who is connected; a daemon that does not say so quickly has no clients to complete.
func (s *session) Clients(ids bool) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	st, err := s.c.Status(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, c := range st.Clients {
		switch {
		case ids:
			out = append(out, c.ClientID)
		case c.CommonName != "":
			out = append(out, c.CommonName)
		}
	}
	return out
}
