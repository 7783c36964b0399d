package script

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script"
)

// runFlags are the flags of run.
type runFlags struct {
	script.Options
	memory                            int      // MiB
	allow                             []string // lists of permissions
	reconnect, verbose, watch, dryRun bool
}

func newRun(e *env.Env) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run FILE.lua… [-- ARG…]", Short: "Run Lua scripts on the daemon's notifications",
		Long: "Run Lua scripts: they react to notifications, answer prompts, admit clients (docs/lua.md). A script ends when it stops itself, when\n" +
			"no handler and no timer is left, or when the daemon is lost. moongate.stop(N) sets the exit code.\n\n" +
			"Several files share one connection. Arguments for them follow --. On SIGHUP, and with --watch when a file changes, a script is\n" +
			"loaded again: the new version takes over when it has run without an error, else the old one stays.",
		Example: "  moongate run examples/lua/answer-passwords.lua --allow read=examples/lua/credentials.json\n  moongate run hooks.lua -a /run/vpn.sock --reconnect --watch",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, rest := split(args, cmd.ArgsLenAtDash())
			f.Args = rest
			return f.run(cmd.Context(), e, files)
		},
	}
	fl := cmd.Flags()
	fl.SetInterspersed(true)
	fl.StringArrayVar(&f.ReadDirs, "read", nil, "file or folder that file.read may open, as --allow read=PATH (repeatable)")
	fl.StringArrayVar(&f.allow, "allow", nil, "what scripts may do beside: "+strings.Join(script.Permissions, ", ")+" (repeatable, or separated by commas)")
	fl.DurationVar(&f.HandlerTimeout, "handler-timeout", script.DefaultHandlerTimeout, "longest time for one handler, waits included")
	fl.DurationVar(&f.Burst, "burst", script.DefaultBurst, "longest processor time of a handler between two waits")
	fl.IntVar(&f.memory, "memory", script.DefaultMemory>>20, "memory of a script's data, in `MiB`")
	fl.BoolVar(&f.Strict, "strict", false, "end with exit code 1 if a handler failed")
	fl.BoolVar(&f.dryRun, "dry-run", false, "print commands that change something instead of sending them")
	fl.BoolVar(&f.watch, "watch", false, "load a script again when a file in its folder changes")
	fl.BoolVar(&f.reconnect, "reconnect", false, "dial again when the daemon is lost")
	fl.BoolVar(&f.verbose, "debug", false, "print log.debug too")
	return cmd
}

// split tells files from arguments: the latter follow --, or the first word that is no Lua file.
func split(args []string, dash int) (files, rest []string) {
	if dash >= 0 {
		return args[:dash], args[dash:]
	}
	n := 1
	for n < len(args) && filepath.Ext(args[n]) == ".lua" {
		n++
	}
	return args[:n], args[n:]
}

func (f *runFlags) run(ctx context.Context, e *env.Env, files []string) error {
	if len(files) == 0 {
		return env.Usagef("no script: files come before --")
	}
	if f.memory < 1 || f.Burst <= 0 || f.HandlerTimeout <= 0 {
		return env.Usagef("--memory, --burst and --handler-timeout must be above 0")
	}
	var err error
	if f.Allow, err = script.ParseAllow(f.allow...); err != nil {
		return env.Usagef("--allow: %v", err)
	}
	for i, d := range f.ReadDirs {
		if f.ReadDirs[i], err = filepath.Abs(d); err != nil {
			return err
		}
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	var out sync.Mutex
	f.Memory, f.Alone = int64(f.memory)<<20, len(files) == 1
	f.Log = slog.New(slog.NewTextHandler(e.Err, &slog.HandlerOptions{Level: level}))
	if e.ErrTTY {
		f.Log = slog.New(newPersonLog(e.Err, level))
	}
	f.Print = func(s string) {
		out.Lock()
		defer out.Unlock()
		fmt.Fprintln(e.Out, s)
	}
	if f.dryRun {
		f.DryRun = func(line string) { f.Print("would send: " + line) }
	}
	for _, file := range files {
		if err := script.Check(file); err != nil {
			return err
		}
	}
	return env.UntilInterrupted(e.With(ctx, func(ctx context.Context, c *client.Client) error {
		s := &sessions{e: e, current: c}
		defer s.close()
		if f.reconnect {
			f.Redial = s.redial
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		g, ctx := errgroup.WithContext(ctx)
		events := c.SubscribeEach(len(files), client.DefaultQueue)
		for i, file := range files {
			reload := f.reloads(ctx, file)
			o := f.Options
			o.Events = events[i]
			g.Go(func() error { return exitCode(keep(ctx, s, file, o, reload)) })
		}
		return g.Wait()
	}))
}

// exitCode makes the end of a script the end of the program.
func exitCode(err error) error {
	var own *script.ExitError
	if errors.As(err, &own) {
		return exit{own}
	}
	if err != nil && !errors.Is(err, client.ErrLost) && strings.Contains(err.Error(), client.ErrLost.Error()) {
		return fmt.Errorf("%w: %v", client.ErrLost, err) // a Lua error carries text only
	}
	return err
}

// keep runs a script until it ends, and replaces it by a new version whenever reload says so and that version is proven.
func keep(ctx context.Context, s *sessions, file string, o script.Options, reload <-chan struct{}) error {
	log := o.Log.With("script", filepath.Base(file))
	current := script.Start(ctx, s.get(), file, o)
	current.Begin(true)
	o.Events = nil
	var old []*script.Instance
	defer func() {
		for _, i := range append(old, current) {
			i.Stop()
		}
	}()
	for {
		select {
		case <-current.Done():
			return current.Err()
		case <-reload:
		}
		next := script.Start(ctx, s.get(), file, o)
		select {
		case err := <-next.Ready():
			if err != nil {
				next.Stop()
				log.Error("not loaded again, the old version stays: " + err.Error())
				continue
			}
		case <-ctx.Done():
			next.Stop()
			return ctx.Err()
		}
		next.Begin(false)
		current.Drain()
		old, current = append(old, current), next
		log.Info("loaded again")
	}
}

// sessions is the connection that scripts share.
type sessions struct {
	e *env.Env

	mu      sync.Mutex // guards all below
	current *client.Client
	dialed  []*client.Client
}

func (s *sessions) get() *client.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// redial returns the connection, a new one if it was lost.
func (s *sessions) redial(ctx context.Context) (*client.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Err() == nil {
		return s.current, nil
	}
	c, err := redial(ctx, s.e)
	if err == nil {
		s.close()
		s.current, s.dialed = c, append(s.dialed, c)
	}
	return c, err
}

// close ends what was dialed.
func (s *sessions) close() {
	for _, c := range s.dialed {
		_ = c.Close()
	}
	s.dialed = nil
}

// reloads receives when a script is to be loaded again. Signals that come while one waits are one.
func (f *runFlags) reloads(ctx context.Context, file string) <-chan struct{} {
	ch := make(chan struct{}, 1)
	tell := func() {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	var events chan fsnotify.Event
	var watcher *fsnotify.Watcher
	if f.watch {
		var err error
		if watcher, err = fsnotify.NewWatcher(); err == nil {
			err = watcher.Add(filepath.Dir(file)) // the folder: editors replace files, and modules lie beside the script
			events = watcher.Events
		}
		if err != nil {
			f.Log.Warn("cannot watch the script: SIGHUP loads it again", "file", file, "err", err)
		}
	}
	go func() {
		defer signal.Stop(hup)
		if watcher != nil {
			defer watcher.Close()
		}
		const settle = 100 * time.Millisecond // an editor writes in several steps
		quiet := time.NewTimer(time.Hour)
		defer quiet.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				tell()
			case ev, ok := <-events:
				if ok && filepath.Ext(ev.Name) == ".lua" {
					quiet.Reset(settle)
				}
			case <-quiet.C:
				tell()
			}
		}
	}()
	return ch
}

// redial dials until it works or ctx ends, with growing pauses.
func redial(ctx context.Context, e *env.Env) (*client.Client, error) {
	for pause := 500 * time.Millisecond; ; pause = min(2*pause, 30*time.Second) {
		c, err := e.Dial(ctx)
		if err == nil || ctx.Err() != nil || errors.Is(err, client.ErrPassword) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
