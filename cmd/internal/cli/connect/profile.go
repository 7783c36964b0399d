package connect

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
)

// mostMistakes bounds what is shown of a profile's mistakes; moongate check shows all.
const mostMistakes = 10

// profile refuses a file that is no profile, and shows the mistakes of one, if it has any.
func profile(e *env.Env, file string, args []string) error {
	if what := otherwise(file); what != "" {
		return env.Usagef("%s is no profile: %s", file, what)
	}
	var wrong, unknown []string
	for _, f := range e.CheckConfig(args) {
		if f.Severity != report.SeverityError {
			continue
		}
		where := ""
		if f.Line > 0 {
			where = fmt.Sprintf("%s:%d: ", f.File, f.Line)
		}
		wrong = append(wrong, where+f.Message)
		if f.Option != "" && !slices.Contains(unknown, f.Option) {
			unknown = append(unknown, f.Option)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	if more := len(wrong) - mostMistakes; more > 0 {
		wrong = append(wrong[:mostMistakes:mostMistakes], fmt.Sprintf("and %d more; moongate check %s shows all", more, file))
	}
	if len(unknown) > 0 {
		wrong = append(wrong, "options of other programs or systems can be passed over: put this in the first line of the profile",
			"  ignore-unknown-option "+strings.Join(unknown[:min(len(unknown), mostMistakes)], " "))
	}
	return env.Usagef("the profile has mistakes:\n%s", strings.Join(wrong, "\n"))
}

// otherwise tells what a file is that is no text of options, "" for one that may be: a login page saved by mistake, another program's file.
func otherwise(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return "" // the daemon says it better
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return err.Error()
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\ufeff")))
	begins := func(s string) bool { return len(text) >= len(s) && strings.EqualFold(string(text[:len(s)]), s) }
	switch {
	case len(text) == 0:
		return "it is empty"
	case begins("<!doctype") || begins("<html") || begins("<?xml"):
		return "it is a page of the web; get the profile again, logged in"
	case begins("{"):
		return "it is JSON, perhaps of another VPN program"
	case begins("[Interface]"):
		return "it is a configuration of WireGuard"
	case begins("PK\x03\x04"):
		return "it is a ZIP archive; unpack it first"
	case bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text[:max(0, len(text)-utf8.UTFMax)]) && bytes.Count(text, []byte("\n")) < 2:
		return "it holds no text"
	}
	return ""
}
