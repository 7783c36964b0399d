// Package man holds "man": the help of every command as manual pages.
package man

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/reference"
)

// NewCmd returns the command; root is the tree whose pages it writes.
func NewCmd(e *env.Env, root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages",
		Long:    "Write a manual page for each command, and one about the management lines and notifications, into DIR/man1 and DIR/man7, and print their names.",
		Example: "  moongate man /usr/local/share/man", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			commands, lines := filepath.Join(args[0], "man1"), filepath.Join(args[0], "man7")
			if err := errors.Join(os.MkdirAll(commands, 0o755), os.MkdirAll(lines, 0o755)); err != nil {
				return err
			}
			if err := write(e, root, commands); err != nil {
				return err
			}
			name := filepath.Join(lines, "moongate-management.7")
			if err := os.WriteFile(name, []byte(management()), 0o644); err != nil {
				return err
			}
			return e.WriteLines(name)
		},
	}
}

func write(e *env.Env, c *cobra.Command, dir string) error {
	name := filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
	if err := os.WriteFile(name, []byte(Page(c)), 0o644); err != nil {
		return err
	}
	if err := e.WriteLines(name); err != nil {
		return err
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			if err := write(e, sub, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// Page is the manual page of one command.
func Page(c *cobra.Command) string {
	var b strings.Builder
	dashed := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %q \"1\" \"\" \"moongate\" \"\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(dashed), roff(dashed), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n.SH DESCRIPTION\n", roff(c.UseLine()))
	text := c.Long
	if text == "" {
		text = c.Short
	}
	b.WriteString(paragraphs(text))
	flags(&b, "OPTIONS", c.NonInheritedFlags())
	flags(&b, "GLOBAL OPTIONS", c.InheritedFlags())
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", lines(c.Example))
	}
	if !c.HasParent() || c.Name() != "daemon" {
		if !c.HasParent() || !strings.Contains(c.Long, "Exit codes:") {
			b.WriteString(exitStatus)
		}
		b.WriteString(common)
	}
	b.WriteString(".SH SEE ALSO\n.BR moongate\\-management (7)\n")
	if c.HasParent() {
		fmt.Fprintf(&b, ".BR %s (1)\n", roff(strings.ReplaceAll(c.Parent().CommandPath(), " ", "-")))
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(&b, ".BR %s (1)\n", roff(strings.ReplaceAll(sub.CommandPath(), " ", "-")))
		}
	}
	return b.String()
}

// exitStatus explains the exit codes of commands that do not do so themselves.
const exitStatus = `.SH EXIT STATUS
.TP
.B 0
done; commands that go on until interrupted end so
.TP
.B 1
the daemon answered ERROR, or a script failed
.TP
.B 2
wrong usage
.TP
.B 3
the daemon could not be reached, or was lost
.TP
.B 4
refused: password or role
.TP
.B 5
timed out, or interrupted before it was done
.TP
.B 6
the asked\-for condition does not hold
.PP
With several targets the highest one.
`

// common is the same on every page.
const common = `.SH ENVIRONMENT
.TP
.B MOONGATE_ADDR
what \-a says
.TP
.B MOONGATE_PASSWORD_FILE
what \-\-password\-file says
.TP
.B MOONGATE_NO_ASK
when set, no password is asked for at the terminal
.TP
.B MOONGATE_CA, MOONGATE_CERT, MOONGATE_KEY
what \-\-ca, \-\-cert and \-\-key say
.TP
.B MOONGATE_RUN_DIR
folder of sockets in place of /run/moongate
.TP
.B MOONGATE_PAGER, PAGER
pager of the prompt; cat or nothing for none
.TP
.B NO_COLOR
when set, no colours
.SH FILES
.TP
.I /run/moongate/NAME.sock
management sockets of the packages' units; NAME is a target
.TP
.I ~/.config/moongate/targets.toml, /etc/moongate/targets.toml
named targets
.TP
.I ~/.local/state/moongate/history
history of the prompt
.TP
.I /usr/share/moongate
examples and types for Lua scripts
`

// management is the page about the port, from the tables that help at the prompt reads.
func management() string {
	var b strings.Builder
	b.WriteString(".TH \"MOONGATE\\-MANAGEMENT\" \"7\" \"\" \"moongate\" \"\"\n.SH NAME\nmoongate\\-management \\- management lines and notifications\n" +
		".SH DESCRIPTION\nWhat can be sent to a management port, and what it tells by itself. At the prompt \"help NAME\" shows the same.\n")
	for _, name := range reference.Names() {
		page, _ := reference.Page(name)
		fmt.Fprintf(&b, ".SS %s\n.nf\n%s.fi\n", roff(name), lines(page))
	}
	b.WriteString(".SH SEE ALSO\n.BR moongate (1)\n")
	return b.String()
}

func flags(b *strings.Builder, title string, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		names := "--" + f.Name
		if f.Shorthand != "" {
			names = "-" + f.Shorthand + ", " + names
		}
		arg, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(names+" "+arg)), roff(usage))
	})
}

// paragraphs turns blank lines into paragraph breaks.
func paragraphs(s string) string { return strings.ReplaceAll(lines(s), "\n\n", "\n.PP\n") + "\n" }

func lines(s string) string {
	all := strings.Split(s, "\n")
	for i, l := range all {
		all[i] = roff(l)
	}
	return strings.Join(all, "\n")
}

// roff escapes what the formatter would read as its own.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
