package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
)

// severalTargets stops a command before it starts: -a names more than one target, and Run starts it once for each.
type severalTargets struct {
	targets []target.Target
	any     bool // a condition that holds on one of them holds
	live    bool // output is shown line by line as it comes, else target by target
}

func (*severalTargets) Error() string { return "this command takes one target" }

// prepare settles what the global flags say before a command runs.
func prepare(e *env.Env, cmd *cobra.Command) error {
	if e.Timeout <= 0 {
		return env.Usagef("--reply-timeout must be above 0")
	}
	if err := e.Resolve(); err != nil {
		return err
	}
	if !formats(cmd, e.Format) {
		return env.Usagef("%s has no -o %s", cmd.CommandPath(), e.Format)
	}
	if reachesNone(cmd) || e.Origin != "" || e.Session != nil {
		return nil
	}
	all, err := e.Targets()
	if err != nil {
		return err
	}
	if len(all) == 1 {
		e.SetTarget(all[0])
		return nil
	}
	if cmd.Annotations[env.OneTarget] != "" {
		return env.Usagef("%s takes one target, -a names %d", cmd.CommandPath(), len(all))
	}
	return &severalTargets{targets: all, any: cmd.Annotations[env.AnyTarget] != "", live: follows(cmd)}
}

// reachesNone reports whether a command reaches no daemon, cobra's own commands included.
func reachesNone(cmd *cobra.Command) bool {
	for c := cmd; c.HasParent(); c = c.Parent() {
		if c.Annotations[env.NoDaemon] != "" || c.Name() == "help" || c.Name() == "completion" || strings.HasPrefix(c.Name(), cobra.ShellCompRequestCmd) {
			return true
		}
	}
	return !cmd.HasParent()
}

// formats reports whether a command prints in a format: all do tables, the rest by its annotation.
func formats(cmd *cobra.Command, format string) bool {
	return format == "table" || !cmd.HasParent() || strings.Contains(","+cmd.Annotations[env.Formats]+",", ","+format+",")
}

// follows reports whether a command goes on until it is interrupted.
func follows(cmd *cobra.Command) bool {
	if cmd.Annotations[env.Follows] != "" {
		return true
	}
	for _, name := range []string{"follow", "watch"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			return true
		}
	}
	return false
}

// fanOut runs a command on several targets at the same time. Each line carries the target's name; the exit code is the highest.
func fanOut(ctx context.Context, e *env.Env, version string, args []string, s *severalTargets) int {
	width := 0
	for _, t := range s.targets {
		width = max(width, runewidth.StringWidth(t.Name))
	}
	var screen, asking sync.Mutex
	ask := e.AskHidden
	if ask != nil {
		ask = func(ctx context.Context, prompt string) (string, error) { // one question at a time
			asking.Lock()
			defer asking.Unlock()
			return e.AskHidden(ctx, prompt)
		}
	}
	codes := make([]int, len(s.targets))
	outs := make([]*bytes.Buffer, len(s.targets))
	var all sync.WaitGroup
	for i, t := range s.targets {
		outs[i] = new(bytes.Buffer)
		all.Go(func() {
			one := &env.Env{
				In: strings.NewReader(""), Getenv: e.Getenv, OutTTY: e.OutTTY, Width: max(0, e.Width-width-2), CheckConfig: e.CheckConfig,
				AskHidden: ask, Origin: t.Name,
			}
			one.SetTarget(t)
			prefix := runewidth.FillRight(t.Name, width) + "  "
			if e.Format == "json" {
				prefix = "" // each object says it
			}
			var out io.Writer = outs[i]
			if s.live {
				out = &shared{w: e.Out, mu: &screen}
			}
			lines := &prefixed{w: out, prefix: prefix}
			one.Out, one.Err = lines, &prefixed{w: &shared{w: e.Err, mu: &screen}}
			err := execute(ctx, one, version, args)
			lines.flush()
			codes[i] = finish(ctx, one.Err, "moongate: "+t.Name+": ", err)
		})
	}
	all.Wait()
	for i := range s.targets {
		if _, err := e.Out.Write(outs[i].Bytes()); err != nil {
			return finish(ctx, e.Err, "moongate: ", fmt.Errorf("write: %w", err))
		}
	}
	s.sayMissing(e.Err, codes)
	return s.code(codes)
}

// code is the highest of the targets' codes.
func (s *severalTargets) code(codes []int) int {
	if s.any && slices.Contains(codes, env.CodeDone) {
		codes = slices.DeleteFunc(slices.Clone(codes), func(c int) bool { return c == env.CodeCondition })
	}
	return slices.Max(codes)
}

// sayMissing names the targets that did not answer, after everything else.
func (s *severalTargets) sayMissing(w io.Writer, codes []int) {
	var missing []string
	for i, c := range codes {
		if c == env.CodeUnreachable || c == env.CodeTimeout {
			missing = append(missing, s.targets[i].Name)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(w, "moongate: %d of %d targets answered, not: %s\n", len(codes)-len(missing), len(codes), strings.Join(missing, ", "))
	}
}

// shared is a writer that several runs use, a call at a time.
type shared struct {
	mu *sync.Mutex
	w  io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// prefixed writes whole lines with a prefix.
type prefixed struct {
	w      io.Writer
	prefix string
	part   []byte // a line that is not complete
}

func (p *prefixed) Write(b []byte) (int, error) {
	var out bytes.Buffer
	rest := append(p.part, b...)
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		if i > 0 {
			out.WriteString(p.prefix)
		}
		out.Write(rest[:i+1])
		rest = rest[i+1:]
	}
	p.part = append([]byte(nil), rest...)
	if out.Len() == 0 {
		return len(b), nil
	}
	if _, err := p.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// flush writes a last line without an end.
func (p *prefixed) flush() {
	if len(p.part) > 0 {
		_, _ = p.Write([]byte("\n"))
	}
}
