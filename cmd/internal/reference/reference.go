// Package reference explains the management lines and the notifications: syntax, an example and the meaning of each field. The prompt's
// help, the manual page moongate-management and docs/reference.md all come from here.
package reference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Names are the management lines and the kinds of notifications, in alphabetical order.
func Names() []string {
	var all []string
	for _, c := range mgmt.Commands() {
		if !c.Hidden {
			all = append(all, c.Name)
		}
	}
	all = append(all, mgmt.KindNames()...)
	slices.Sort(all)
	return all
}

// Page explains a management line, or a notification by its kind, upper or lower case.
func Page(name string) (string, bool) {
	var b strings.Builder
	if c := mgmt.Lookup(name); c != nil {
		fmt.Fprintf(&b, "  %s\n\n  %s.\n", c.Synopsis(), strings.ToUpper(c.Help[:1])+c.Help[1:])
		fmt.Fprintf(&b, "  Needs the role %s", c.Role)
		if c.Query {
			b.WriteString(", without a parameter only observe")
		}
		b.WriteString(".\n")
		write(&b, c.Example, "Reply", c.Returns)
		return b.String(), true
	}
	kind := strings.TrimPrefix(strings.ToUpper(name), ">")
	if k := mgmt.LookupKind(kind); k != nil {
		fields := k.Fields
		if k.Switch != "" {
			fields += "\nSwitch on: " + k.Switch
		}
		fmt.Fprintf(&b, "  >%s:…\n", kind)
		write(&b, k.Example, "Fields", fields)
		return b.String(), true
	}
	return "", false
}

func write(b *strings.Builder, example, title, fields string) {
	fmt.Fprintf(b, "\n  Example:\n    %s\n", strings.ReplaceAll(example, "\n", "\n    "))
	fmt.Fprintf(b, "\n  %s:\n    %s\n", title, strings.ReplaceAll(fields, "\n", "\n    "))
}

// Markdown is docs/reference.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Management lines and notifications\n\nGenerated from the tables that `help` at the prompt reads (go test ./cmd/internal/reference -update). " +
		"How the port behaves as a whole is in [management.md](management.md).\n\n## Lines\n")
	for _, c := range mgmt.Commands() {
		if page, ok := Page(c.Name); ok && !c.Hidden {
			fmt.Fprintf(&b, "\n### %s\n\n```text\n%s```\n", c.Name, page)
		}
	}
	b.WriteString("\n## Notifications\n")
	ks := slices.Sorted(slices.Values(mgmt.KindNames()))
	for _, k := range ks {
		page, _ := Page(k)
		fmt.Fprintf(&b, "\n### %s\n\n```text\n%s```\n", k, page)
	}
	return b.String()
}
