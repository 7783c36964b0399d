package repl

import (
	"sort"
	"strings"

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

// complete returns the words that can stand at pos of line, for liner: the text before them, the words, the text behind.
func complete(l live, line string, pos int) (head string, words []string, tail string) {
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
	for _, w := range candidates(l, params, prefix) {
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
	if len(params) == 1 {
		switch params[0] {
		case "password", "username":
			if t := l.Types(mgmt.KindPassword); len(t) > 0 {
				return t
			}
		case "needok":
			return l.Types(mgmt.KindNeedOK)
		case "needstr":
			return l.Types(mgmt.KindNeedStr)
		case "kill":
			return l.Clients(false)
		case "client-kill", "client-deny", "client-auth", "client-auth-nt", "client-pending-auth":
			return l.Clients(true)
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
