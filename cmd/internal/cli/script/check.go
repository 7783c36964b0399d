package script

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/script"
)

func newCheck(e *env.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check [--strict] [--json] FILE… | [FILE] --any-openvpn-option …", Short: "Check Lua scripts and configuration files without running them",
		Long: "Compile Lua files (.lua) and read configuration files (all others), each for itself. With options it takes the daemon's command\n" +
			"line instead, and reads what \"moongate daemon\" would read. All mistakes and doubts are printed, FILE:LINE:COLUMN each: unknown options\n" +
			"with the nearest name, removed and deprecated ones with what to use instead, files that are missing or hold something else (a key in place\n" +
			"of a certificate, one that does not belong to it, a passphrase that does not open it), routes and pushed options that would be left out,\n" +
			"the files of client-config-dir, what contradicts, has no effect or is insecure; in Lua files, and those that a configuration names, also\n" +
			"names that no event, and no field of an event, has.\n\n" +
			"The exit code is 0 when the daemon would start, 1 when there are mistakes, and with --strict 6 when there are only warnings.",
		Example: "  moongate check hooks.lua client.conf\n  moongate check --strict server.conf\n  moongate check --json server.conf | jq '.findings[].rule'\n" +
			"  moongate check server.conf --port 1195 --proto tcp-server",
		DisableFlagParsing: true, // the options are the daemon's
		RunE:               func(cmd *cobra.Command, args []string) error { return checkAll(e, cmd, args) },
		Annotations:        map[string]string{env.NoDaemon: "yes", env.Formats: "json"},
	}
	return cmd
}

// ours takes our own flags out of a command line whose other options are the daemon's.
func ours(e *env.Env, args []string) (rest []string, strict bool) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--strict":
			strict = true
		case a == "--json":
			e.Format = "json"
		case a == "-o" && i+1 < len(args):
			i++
			e.Format = args[i]
		default:
			rest = append(rest, a)
		}
	}
	return rest, strict
}

// checkAll is "check": files one by one, or the daemon's command line.
func checkAll(e *env.Env, cmd *cobra.Command, args []string) error {
	if slices.Contains(args, "-h") || len(args) == 1 && args[0] == "--help" {
		return cmd.Help()
	}
	args, strict := ours(e, args)
	if e.Format != "table" && e.Format != "json" {
		return env.Usagef("check has no -o %s", e.Format)
	}
	if len(args) == 0 {
		return env.Usagef("check needs a file or options\nusage: %s", cmd.UseLine())
	}
	first := slices.IndexFunc(args, func(s string) bool { return strings.HasPrefix(s, "--") })
	if flag := slices.IndexFunc(args, func(s string) bool { return strings.HasPrefix(s, "-") }); flag >= 0 && flag != first {
		return env.Usagef("check has no %s: it takes --strict, --json, and the options of the daemon, which begin with --", args[flag])
	}
	switch {
	case first > 1:
		return env.Usagef("%d files before %s: with options one configuration is checked", first, args[first])
	case first == 1:
		args = append([]string{"--config"}, args...)
	}
	doc := report.Check{Head: report.Head{Schema: report.CheckSchema}, Findings: []report.Finding{}}
	look := func(name string, findings []report.Finding) {
		doc.Files = append(doc.Files, name)
		for _, f := range findings {
			if f.File == "" {
				f.File = name
			}
			doc.Findings = append(doc.Findings, f)
		}
	}
	switch {
	case e.CheckConfig == nil:
		return env.Usagef("this build checks no configurations")
	case first >= 0:
		look("the command line", e.CheckConfig(args))
	default:
		for _, f := range args {
			if filepath.Ext(f) == ".lua" {
				look(f, CheckLua(f))
			} else {
				look(f, e.CheckConfig([]string{"--config", f}))
			}
		}
	}
	return tell(e, doc, strict)
}

// CheckLua returns the findings about a Lua file.
func CheckLua(path string) []report.Finding {
	doubts, err := script.Doubts(path)
	var own *script.Error
	switch {
	case errors.As(err, &own):
		return []report.Finding{{File: own.File, Line: own.Line, Severity: report.SeverityError, Rule: "script", Message: own.Text}}
	case err != nil:
		return []report.Finding{{File: path, Severity: report.SeverityError, Rule: "script", Message: err.Error()}}
	}
	var found []report.Finding
	for _, d := range doubts {
		severity := report.SeverityError
		if d.Warning {
			severity = report.SeverityWarning
		}
		found = append(found, report.Finding{File: d.File, Line: d.Line, Severity: severity, Rule: "script-names", Message: d.Text})
	}
	return found
}

// tell prints the findings; mistakes make the exit code 1, warnings under strict 6.
func tell(e *env.Env, doc report.Check, strict bool) error {
	mistakes, warnings := 0, 0
	bad := make(map[string]bool)
	for _, f := range doc.Findings {
		if f.Severity == report.SeverityError {
			mistakes++
		} else {
			warnings++
		}
		bad[f.File] = bad[f.File] || f.Severity == report.SeverityError
		if e.Format == "json" {
			continue
		}
		where := f.File
		if f.Line > 0 {
			where += fmt.Sprint(":", f.Line)
		}
		if f.Column > 0 {
			where += fmt.Sprint(":", f.Column)
		}
		fmt.Fprintf(e.Err, "%s: %s: %s [%s]\n", where, f.Severity, env.Clean(f.Message), f.Rule)
	}
	if e.Format == "json" {
		if err := e.WriteJSON(doc); err != nil {
			return err
		}
	} else {
		for _, f := range doc.Files {
			if !bad[f] && mistakes == 0 || !bad[f] && len(doc.Files) > 1 {
				if err := e.WriteLines(f + ": ok"); err != nil {
					return err
				}
			}
		}
	}
	switch {
	case mistakes > 0:
		return found{fmt.Errorf("%s, %s", count(mistakes, "mistake"), count(warnings, "warning")), env.CodeDaemon}
	case warnings > 0 && strict:
		return found{fmt.Errorf("%w: %s", env.ErrCondition, count(warnings, "warning")), env.CodeCondition}
	}
	return nil
}

func count(n int, thing string) string {
	switch n {
	case 0:
		return "no " + thing + "s"
	case 1:
		return "1 " + thing
	default:
		return fmt.Sprintf("%d %ss", n, thing)
	}
}

// found is an error with the exit code of "check".
type found struct {
	error
	code int
}

// ExitCode implements env.Exiter.
func (f found) ExitCode() int { return f.code }
