package repl

import (
	"bytes"
	"context"
	"sort"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/reference"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// live are completions that depend on what the daemon asks for and who is connected.
type live interface {
	// Types are the types asked for by prompts of a kind.
	Types(kind string) []string
	// Clients are common names, or with ids client ids, of the connected clients.
	Clients(ids bool) []string
}

// complete completes commands of the prompt, of the shell's tree and of the port.
func (s *session) complete(ctx context.Context, line string, pos int) (head string, words []string, tail string) {
	if strings.HasPrefix(strings.TrimLeft(line, " "), `\`) {
		return completeMeta(line, pos)
	}
	return complete(s, func(params []string, prefix string) []string {
		if s.o.Shell == nil || s.raw || len(params) > 0 && params[0] == "help" {
			return nil
		}
		var out bytes.Buffer
		return s.o.Shell.Complete(ctx, s.world(&out, &out), params, prefix)
	}, line, pos)
}

// completeMeta completes the names of the prompt's own commands.
func completeMeta(line string, pos int) (head string, words []string, tail string) {
	runes := []rune(line)
	pos = min(max(pos, 0), len(runes))
	before := strings.TrimLeft(string(runes[:pos]), " ")
	if !strings.Contains(before, " ") {
		for _, m := range metas() {
			if strings.HasPrefix(m.name, before) {
				words = append(words, m.name+" ")
			}
		}
	}
	if len(words) == 0 {
		return string(runes[:pos]), nil, string(runes[pos:])
	}
	return "", words, string(runes[pos:])
}

// Clients asks the daemon who is connected; a daemon that does not say so quickly has no clients to complete.
func (s *session) Clients(ids bool) []string {
	c := s.conn()
	if c == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	st, err := c.Status(ctx)
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

// complete returns the words that can stand at pos of line, for liner: the text before them, the words, the text behind.
func complete(l live, shell func(params []string, prefix string) []string, line string, pos int) (head string, words []string, tail string) {
	runes := []rune(line)
	pos = min(max(pos, 0), len(runes))
	before, tail := string(runes[:pos]), string(runes[pos:])
	at := wordStart(before)
	head, word := before[:at], before[at:]
	params, err := lexer.Split(head, "prompt")
	if err != nil {
		return head, nil, tail
	}
	prefix := strings.TrimLeft(word, `"'`)
	seen := make(map[string]bool)
	for _, w := range append(candidates(l, params, prefix), shell(params, prefix)...) {
		if strings.HasPrefix(w, prefix) && !seen[w] {
			seen[w] = true
			words = append(words, lexer.Quote(w)+" ")
		}
	}
	sort.Strings(words)
	return head, words, tail
}

// candidates are the words for the parameter after params.
func candidates(l live, params []string, prefix string) []string {
	if len(params) == 1 && params[0] == "help" {
		return reference.Names()
	}
	if len(params) != 1 {
		return mgmt.Complete(params, prefix)
	}
	if cmd := mgmt.Lookup(params[0]); cmd != nil {
		switch {
		case strings.HasPrefix(cmd.Args, "<CID>"):
			return l.Clients(true)
		case strings.HasPrefix(cmd.Args, "<common name>"):
			return l.Clients(false)
		case cmd.Answers != "":
			if t := l.Types(cmd.Answers); len(t) > 0 {
				return t
			}
		}
	}
	return mgmt.Complete(params, prefix)
}

// wordStart is where the word being typed begins: behind the last blank outside quotes.
func wordStart(s string) int {
	start := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote == 0 && c == ' ':
			start = i + 1
		case c == '\\' && quote != '\'':
			i++
		case quote == 0 && (c == '"' || c == '\'') && i == start:
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return min(start, len(s))
}
