// Package top holds "top": a full screen with a daemon's state, rates, clients and events, for one target or several.
package top

import (
	"cmp"
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
)

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	var interval time.Duration
	cmd := &cobra.Command{
		Use: "top", Short: "Watch daemons on a full screen",
		Long: "Show state, rates, clients and events of a daemon on a full screen, of several with -a more than once or a pattern.\n\n" +
			"Keys: up and down choose a client, Enter shows its details and environment, s sorts by the next column and r turns the order round,\n" +
			"/ filters (as --filter of clients), x disconnects a client after a question for the reason, e shows or hides events, Tab goes to the\n" +
			"next target, q leaves. Environments come with CLIENT notifications, which a server sends under management-client-auth.",
		Example: "  moongate top\n  moongate top -a 'office*' --interval 5s", Args: cobra.NoArgs,
		Annotations: map[string]string{env.NoDaemon: "yes"}, // it resolves its targets by itself
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < 100*time.Millisecond {
				return env.Usagef("--interval must be at least 100ms")
			}
			targets, err := e.Targets()
			if err != nil {
				return err
			}
			if !e.InTTY || !e.OutTTY {
				return env.Usagef("top needs a terminal; moongate status and moongate clients --watch do without")
			}
			if env.Dumb(e.Getenv) {
				return env.Usagef("top needs a terminal that moves its cursor, and TERM is %s; moongate status and moongate clients --watch do without", cmp.Or(e.Getenv("TERM"), "not set"))
			}
			return env.UntilInterrupted(run(cmd.Context(), e, targets, interval))
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "time between two looks at a daemon")
	return cmd
}

// run shows the screen. The first dial happens before it, so that a daemon that cannot be reached is an error as everywhere; later losses
// are shown.
func run(ctx context.Context, e *env.Env, targets []target.Target, interval time.Duration) error {
	feeds, err := begin(ctx, e, targets, interval)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	m := newModel(targets, e.Getenv("NO_COLOR") == "")
	m.kill = func(index int, h victim, reason string) tea.Cmd {
		return func() tea.Msg { return feeds[index].kill(ctx, h, reason) }
	}
	debug.SetGCPercent(400) // the heap is a few reports of clients, each of them garbage when the next comes
	runtime.GOMAXPROCS(1)   // on an idle machine, waking a second core costs more than all of this
	on, err := openScreen(os.Stdin, os.Stdout)
	if err != nil {
		return err
	}
	defer on.close()
	// Ctrl-C is a key on this screen; a signal ends ctx, and that quits as the key does: the reader of the terminal ends first. A panic goes through close.
	p := tea.NewProgram(&drawn{model: m, screen: on}, tea.WithoutSignalHandler(), tea.WithoutCatchPanics(), tea.WithInput(os.Stdin), tea.WithoutRenderer(), tea.WithFPS(1))
	defer on.watch(p.Send)()
	for _, f := range feeds {
		all.Go(func() { f.run(ctx, p.Send) })
	}
	defer context.AfterFunc(ctx, p.Quit)()
	_, err = p.Run()
	return err
}

// patience is how long several targets may take before the screen comes up without those that are silent.
const patience = time.Second

// begin dials all targets at the same time. Several that cannot be reached are left to their feeds; then one after the other is asked for what it needs
// at the terminal.
func begin(ctx context.Context, e *env.Env, targets []target.Target, interval time.Duration) ([]*feed, error) {
	feeds, errs := make([]*feed, len(targets)), make([]error, len(targets))
	several := len(targets) > 1
	var all sync.WaitGroup
	for i, t := range targets {
		one := &env.Env{
			Getenv: e.Getenv, AskHidden: e.AskHidden, NoAsk: e.NoAsk || several && !target.IsSSH(t.Address), Password: e.Password, PasswordFile: e.PasswordFile, CA: e.CA, Cert: e.Cert, Key: e.Key, Timeout: e.Timeout,
		}
		one.SetTarget(t)
		f := &feed{index: i, e: one, interval: interval}
		feeds[i] = f
		all.Go(func() {
			dialing := ctx
			if several && !target.IsSSH(t.Address) { // ssh may ask at the terminal
				var cancel context.CancelFunc
				dialing, cancel = context.WithTimeout(ctx, patience)
				defer cancel()
			}
			f.first, errs[i] = one.Dial(dialing)
			if several && dialing.Err() != nil {
				errs[i] = nil // the feed goes on
			}
		})
	}
	all.Wait()
	for i, f := range feeds {
		if several && errs[i] != nil && !env.Gone(errs[i]) {
			f.e.NoAsk = e.NoAsk
			f.first, errs[i] = f.e.Dial(ctx)
		}
		if errs[i] != nil && (!several || !env.Gone(errs[i])) {
			closeAll(feeds)
			return nil, errs[i]
		}
		f.e.NoAsk = true // the terminal is the screen's
	}
	return feeds, ctx.Err()
}

func closeAll(feeds []*feed) {
	for _, f := range feeds {
		if f.first != nil {
			f.first.Close()
		}
	}
}
