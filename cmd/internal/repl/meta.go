package repl

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/cmd/internal/reference"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
	"github.com/moongate-vpn/moongate/mgmt/nearest"
)

// metaCommand is a command of the prompt itself.
type metaCommand struct {
	name, args, help string
	min, max         int
	run              func(s *session, ctx context.Context, args []string)
}

func metas() []metaCommand {
	return []metaCommand{
		{`\?`, "", "this list", 0, 0, func(s *session, _ context.Context, _ []string) { s.page(flow(metaHelp())) }},
		{`\json`, "", "switch JSON output on or off", 0, 0, func(s *session, _ context.Context, _ []string) {
			s.json = !s.json
			s.print("JSON is " + onOff(s.json) + "\n")
		}},
		{`\raw`, "", "switch raw on or off: management lines first, notifications as they come", 0, 0, func(s *session, _ context.Context, _ []string) {
			s.raw = !s.raw
			s.print("raw is " + onOff(s.raw) + "\n")
		}},
		{`\watch`, "TIME COMMAND…", "run a command again and again, until Ctrl-C", 2, 1 << 10, (*session).watch},
		{`\source`, "FILE", "run the lines of a file", 1, 1, (*session).source},
		{`\record`, "[FILE]", "copy lines and what they show to a file; without one, end that", 0, 1, func(s *session, _ context.Context, args []string) { s.startRecord(args) }},
		{`\connect`, "ADDRESS", "go to another daemon", 1, 1, (*session).connect},
		{`\lua`, "FILE [ARG…]", "run a Lua script on this session, until it ends or Ctrl-C", 1, 1 << 10, func(s *session, ctx context.Context, args []string) {
			s.run(ctx, "run "+strings.Join(quoteAll(args), " "))
		}},
		{`\q`, "", "leave, as exit and Ctrl-D do", 0, 0, func(*session, context.Context, []string) {}},
	}
}

func quoteAll(words []string) []string {
	for i, w := range words {
		words[i] = lexer.Quote(w)
	}
	return words
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func metaHelp() string {
	var b strings.Builder
	b.WriteString("Commands of the shell (help lists them), management lines, and:\n")
	for _, m := range metas() {
		fmt.Fprintf(&b, "  %-22s %s\n", strings.TrimSpace(m.name+" "+m.args), m.help)
	}
	return b.String()
}

// meta runs a command of the prompt.
func (s *session) meta(ctx context.Context, line string) {
	words, err := lexer.Split(strings.TrimPrefix(line, `\`), "prompt") // a backslash would quote the first letter
	if err != nil || len(words) == 0 {
		words = []string{""}
	}
	for _, m := range metas() {
		if m.name != `\`+words[0] {
			continue
		}
		if n := len(words) - 1; n < m.min || n > m.max {
			s.print("usage: " + strings.TrimSpace(m.name+" "+m.args) + "\n")
			return
		}
		m.run(s, ctx, words[1:])
		return
	}
	s.print(`\` + words[0] + ` is no command of the prompt; \? lists them` + "\n")
}

func (s *session) watch(ctx context.Context, args []string) {
	every, err := time.ParseDuration(args[0])
	if err != nil || every < 100*time.Millisecond {
		s.print("usage: \\watch TIME COMMAND…, TIME is 2s for instance\n")
		return
	}
	line := strings.Join(quoteAll(args[1:]), " ")
	if strings.HasPrefix(args[1], `\`) {
		s.print("\\watch runs no commands of the prompt\n")
		return
	}
	for {
		s.print(time.Now().Format(time.TimeOnly) + "  " + line + "\n")
		s.run(ctx, line)
		select {
		case <-time.After(every):
		case <-ctx.Done():
			s.print("\n") // behind the ^C
			return
		}
	}
}

// maxSource is how many lines a file of lines may have.
const maxSource = 10000

func (s *session) source(ctx context.Context, args []string) {
	f, err := os.Open(args[0])
	if err != nil {
		s.print(err.Error() + "\n")
		return
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for n := 0; sc.Scan() && ctx.Err() == nil; n++ {
		line := strings.TrimSpace(sc.Text())
		switch {
		case n == maxSource:
			s.print(fmt.Sprintf("%s: more than %d lines; the rest is left out\n", args[0], maxSource))
			return
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, `\source`):
			s.print(args[0] + ": \\source does not nest\n")
			return
		}
		s.print(promptText + env.Clean(shown(line)) + "\n")
		s.run(ctx, line)
	}
	if err := sc.Err(); err != nil {
		s.print(err.Error() + "\n")
	}
}

func (s *session) startRecord(args []string) {
	switch was := s.stopRecord(); {
	case was != "":
		s.print("recorded in " + was + "\n")
	case len(args) == 0:
		s.print("nothing is recorded; \\record FILE begins\n")
	}
	if len(args) == 0 {
		return
	}
	f, err := os.OpenFile(args[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.print(err.Error() + "\n")
		return
	}
	s.print("recording in " + args[0] + "; \\record ends it\n")
	s.mu.Lock()
	s.record = f
	s.mu.Unlock()
}

// stopRecord ends the record and returns its name, "" when there was none.
func (s *session) stopRecord() (name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record != nil {
		name = s.record.Name()
		s.record.Close()
		s.record = nil
	}
	return name
}

// connect goes to another target: the session there is proven before this one ends.
func (s *session) connect(ctx context.Context, args []string) {
	next := &env.Env{Getenv: s.e.Getenv, Addrs: args, Timeout: s.e.Timeout, NoAsk: true, Password: s.e.Password, PasswordFile: s.e.PasswordFile, CA: s.e.CA, Cert: s.e.Cert, Key: s.e.Key}
	next.AskHidden = func(_ context.Context, prompt string) (string, error) { return s.hidden(prompt) }
	next.NoAsk = false
	t, err := next.Target()
	if err == nil {
		var c interface{ Close() error }
		if c, err = next.Dial(ctx); err == nil {
			c.Close()
		}
	}
	if err != nil {
		s.print(env.Clean(err.Error()) + "\n")
		return
	}
	s.e.Adopt(next, t)
	s.mu.Lock()
	old, relink := s.mu.c, s.mu.relink
	s.mu.switches = make(map[string]string)
	if old != nil {
		s.mu.going = env.Clean(t.Name)
	}
	s.mu.Unlock()
	if old != nil {
		old.Close() // the link dials the new one
	} else if relink != nil {
		relink()
	}
}

// help shows a command of the prompt, of the tree, or of the port.
func (s *session) help(ctx context.Context, words []string) {
	if len(words) == 0 {
		s.page(flow(overview(s) + "\n" + metaHelp()))
		return
	}
	var text strings.Builder
	if s.o.Shell != nil && s.o.Shell.Fit(append([]string{words[0], "--help"}, words[1:]...)).OK {
		out := &liveWriter{print: func(p string) { text.WriteString(p) }}
		_ = s.o.Shell.Run(ctx, s.world(out, out), append(append([]string(nil), words...), "--help"))
	}
	if page, ok := reference.Page(words[0]); ok {
		if text.Len() > 0 {
			text.WriteString("\nAs a management line:\n\n")
		}
		text.WriteString(page)
	}
	if text.Len() == 0 {
		text.WriteString("no command, management line or notification is called " + env.Clean(words[0]) + "; help lists them\n")
	}
	s.page(flow(text.String()))
}

// flow wraps help for the terminal.
func flow(text string) string {
	width, _, _ := term.GetSize(int(os.Stdout.Fd()))
	return table.Flow(text, width)
}

// overview lists what can be typed.
func overview(s *session) string {
	var b strings.Builder
	if s.o.Shell != nil {
		b.WriteString("Commands (help COMMAND explains one):\n")
		columns(&b, s.o.Shell.Complete(context.Background(), s.world(&liveWriter{}, &liveWriter{}), nil, ""))
		b.WriteString("\n")
	}
	b.WriteString("Management lines and notifications (help NAME explains one):\n")
	columns(&b, reference.Names())
	return b.String()
}

// suggestion names a command like word, which neither the tree nor the port knows, or returns "".
func (s *session) suggestion(word string) string {
	if s.o.Shell == nil || len(word) < 3 || mgmt.Lookup(word) != nil {
		return ""
	}
	names := s.o.Shell.Complete(context.Background(), s.world(&liveWriter{}, &liveWriter{}), nil, "")
	for _, c := range mgmt.Commands() {
		names = append(names, c.Name)
	}
	if near := nearest.Name(word, names, 2); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// columns writes words in as many columns as 78 characters take.
func columns(b *strings.Builder, words []string) {
	width := 1
	for _, w := range words {
		width = max(width, len(w)+2)
	}
	per := max(1, 78/width)
	for i, w := range words {
		if i%per == per-1 || i == len(words)-1 {
			b.WriteString("  " + w + "\n")
			continue
		}
		fmt.Fprintf(b, "  %-*s", width-2, w)
	}
}
