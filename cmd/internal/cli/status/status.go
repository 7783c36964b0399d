// Package status holds "status" and "version": what a daemon is and does, as one answer.
package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/clients"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	var version int
	var rate time.Duration
	status := &cobra.Command{
		Use: "status", Short: "Show state, addresses and traffic, and the clients of a server",
		Long: "Show a client's state, since when it lasts, addresses, remote, cipher and traffic, or a server's clients and routes, and the Lua\n" +
			"scripts of a moongate daemon. Rates are means since the state began; with --rate they are measured now. The cipher of a client comes\n" +
			"from its log and is missing when the log does not reach back.",
		Example: "  moongate status\n  moongate status --rate 1s\n  moongate status --json | jq '.clients[].common_name'\n  moongate status -o raw --format-version 2",
		Args:    cobra.NoArgs, Annotations: map[string]string{env.Formats: "json,raw"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rate < 0 || version < 0 || version > 3 {
				return env.Usagef("--rate must not be negative, --format-version is 1, 2 or 3")
			}
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if e.Format == "raw" {
					return raw(ctx, e, c, version)
				}
				return run(ctx, e, c, rate)
			})
		},
	}
	status.Flags().IntVar(&version, "format-version", 0, "with -o raw: format 1, 2 or 3 of the daemon's report")
	status.Flags().DurationVar(&rate, "rate", 0, "measure the rates over this time")
	ver := &cobra.Command{
		Use: "version", Short: "Show the versions of the daemon",
		Long:    "Show what the daemon says about itself. The version of this program is printed by moongate --version.",
		Example: "  moongate version", Args: cobra.NoArgs, Annotations: map[string]string{env.Formats: "json,raw"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error { return showVersion(ctx, e, c) })
		},
	}
	return []*cobra.Command{status, ver}
}

func raw(ctx context.Context, e *env.Env, c *client.Client, version int) error {
	cmd := "status"
	if version != 0 {
		cmd += " " + strconv.Itoa(version)
	}
	r, err := c.Cmd(ctx, cmd)
	if err != nil {
		return err
	}
	return e.WriteLines(r.Raw...)
}

func showVersion(ctx context.Context, e *env.Env, c *client.Client) error {
	if e.Format == "raw" {
		r, err := c.Cmd(ctx, "version")
		if err != nil {
			return err
		}
		return e.WriteLines(r.Raw...)
	}
	v, err := c.Versions(ctx)
	if err != nil {
		return err
	}
	if e.Format == "json" {
		return e.WriteJSON(report.Version{Head: report.Head{Schema: report.VersionSchema}, Daemon: v.Daemon, Management: v.Management})
	}
	return e.WriteLines("daemon:     "+v.Daemon, "management: "+strconv.Itoa(v.Management))
}

func run(ctx context.Context, e *env.Env, c *client.Client, rate time.Duration) error {
	s, err := Read(ctx, c)
	if err != nil {
		return err
	}
	if err := s.AskScripts(ctx, c); err != nil {
		return err
	}
	if rate > 0 && !s.Idle {
		if err := s.Measure(ctx, c, rate); err != nil {
			return err
		}
	}
	if e.Format == "json" {
		return e.WriteJSON(s.Report())
	}
	return s.table(e)
}

// Status is a daemon's status report with what other commands tell about the same moment.
type Status struct {
	client.Status
	State   mgmt.State // the zero State when the daemon told none
	Idle    bool       // it holds, or is between two connections, and has no statistics
	Cipher  string     // of a client
	Scripts []mgmt.ScriptStatus
	Traffic report.Traffic
	Rates   *report.Rates
}

// Read asks for the report, the state and, at a client, the cipher.
func Read(ctx context.Context, c *client.Client) (Status, error) {
	var s Status
	g, gctx := errgroup.WithContext(ctx)
	var none error // why there are no statistics
	g.Go(func() (err error) {
		var refused *client.ReplyError
		if s.Status, err = c.Status(gctx); errors.As(err, &refused) {
			none = err
			return nil
		}
		return err
	})
	g.Go(func() error {
		var refused *client.ReplyError
		state, err := c.State(gctx)
		if errors.As(err, &refused) || errors.Is(err, client.ErrNotManagement) {
			return nil // a daemon without states
		}
		s.State = state
		return err
	})
	if err := g.Wait(); err != nil {
		return s, err
	}
	if none != nil {
		if s.Idle = s.State.Name == mgmt.StateConnecting || s.State.Name == mgmt.StateReconnecting; s.Idle {
			return s, nil
		}
		return s, none
	}
	if !s.Server {
		log, err := c.Log(ctx, 0)
		if err != nil && errors.Is(err, client.ErrLost) {
			return s, err
		}
		s.Cipher = cipher(log)
	}
	if err := s.count(ctx, c); err != nil {
		return s, err
	}
	s.mean()
	return s, nil
}

// AskScripts adds the Lua scripts of a daemon of ours; others have none.
func (s *Status) AskScripts(ctx context.Context, c *client.Client) error {
	list, err := c.Scripts(ctx)
	if errors.Is(err, client.ErrLost) {
		return err
	}
	s.Scripts = list
	return nil
}

// count takes the traffic on the link: a client's counters, a server's totals, clients that went included.
func (s *Status) count(ctx context.Context, c *client.Client) error {
	if !s.Server {
		s.Traffic = report.Traffic{BytesReceived: s.Counter("TCP/UDP read bytes"), BytesSent: s.Counter("TCP/UDP write bytes")}
		return nil
	}
	total, err := c.LoadStats(ctx)
	s.Traffic = report.Traffic{BytesReceived: total.BytesIn, BytesSent: total.BytesOut}
	return err
}

// mean fills in the rates of a connected client since it is connected.
func (s *Status) mean() {
	now := s.Updated
	if now.IsZero() {
		now = time.Now()
	}
	if d := now.Sub(s.State.Time).Seconds(); !s.Server && s.State.Name == mgmt.StateConnected && d >= 1 {
		s.Rates = rates(s.Traffic, report.Traffic{}, d)
	}
}

// Measure asks for the traffic a second time after d.
func (s *Status) Measure(ctx context.Context, c *client.Client, d time.Duration) error {
	before, begin := s.Traffic, time.Now()
	select {
	case <-time.After(d):
	case <-c.Done():
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	later, err := c.Status(ctx)
	if err != nil {
		return err
	}
	s.Status = later
	if err := s.count(ctx, c); err != nil {
		return err
	}
	s.Rates = rates(s.Traffic, before, time.Since(begin).Seconds())
	return nil
}

// journalLost is the name of the events that a daemon's journal lost. There is a row once there are some.
const journalLost = "Journal events lost"

func rates(now, before report.Traffic, seconds float64) *report.Rates {
	per := func(now, before uint64) float64 {
		if now < before {
			return 0 // the connection began anew
		}
		return float64(now-before) / seconds
	}
	return &report.Rates{Received: per(now.BytesReceived, before.BytesReceived), Sent: per(now.BytesSent, before.BytesSent), Seconds: seconds}
}

// cipher finds the newest cipher of the data channel in a log.
func cipher(log []mgmt.LogEntry) string {
	for _, l := range slices.Backward(log) {
		_, rest, ok := strings.Cut(l.Text, "Data Channel: cipher '")
		if !ok {
			_, rest, ok = strings.Cut(l.Text, "Data Channel: Cipher '") // daemons before 2.6
		}
		if name, _, end := strings.Cut(rest, "'"); ok && end {
			return name
		}
	}
	return ""
}

// Report is the JSON of the status.
func (s Status) Report() report.Status {
	r := report.Status{Head: report.Head{Schema: report.StatusSchema}, Role: "client", Title: s.Title, Updated: report.Time(s.Updated), Cipher: s.Cipher,
		Traffic: &s.Traffic, Rates: s.Rates, Scripts: report.ScriptsOf(s.Scripts), Counters: make(map[string]uint64)}
	if s.Server {
		r.Role = "server"
		r.Clients = report.ClientsOf(s.Clients)
	}
	if s.State.Name != "" {
		f := report.StateOf(s.State)
		r.State = &f
	}
	for _, x := range s.Routes {
		r.Routes = append(r.Routes, report.Route{VirtualAddress: x.VirtualAddress, CommonName: x.CommonName, RealAddress: x.RealAddress, LastRef: report.Time(x.LastRef)})
	}
	for _, c := range slices.Concat(s.Counters, s.Global) {
		r.Counters[key(c.Name)] = c.Value
	}
	return r
}

// key turns "TUN/TAP read bytes" into "tun_tap_read_bytes".
func key(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
}

// scripts prints the Lua scripts, if there are any.
func (s Status) scripts(e *env.Env) error {
	if len(s.Scripts) == 0 {
		return nil
	}
	fmt.Fprintln(e.Out)
	return table.Scripts(e, s.Scripts)
}

// table prints the status for people.
func (s Status) table(e *env.Env) error {
	var lines []string
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, fmt.Sprintf("%-9s %s", name, value))
		}
	}
	if s.State.Name != "" {
		text := s.State.Name
		if s.State.Detail != "" {
			text += " " + s.State.Detail
		}
		add("state", text+", since "+table.Local(s.State.Time)+" ("+table.Since(s.State.Time, time.Now())+")")
	}
	add("address", strings.TrimSpace(report.Address(s.State.TunIPv4)+" "+report.Address(s.State.TunIPv6)))
	if s.State.Remote.IsValid() {
		add("remote", s.State.Remote.String())
	}
	if s.State.Local.IsValid() {
		add("local", s.State.Local.String())
	}
	if s.Idle {
		add("waits", "for hold release, an answer, or the next try; no statistics yet")
		if err := e.WriteLines(lines...); err != nil {
			return err
		}
		return s.scripts(e)
	}
	add("cipher", s.Cipher)
	received, sent := table.Bytes(s.Traffic.BytesReceived), table.Bytes(s.Traffic.BytesSent)
	if s.Rates != nil {
		received, sent = received+", "+table.Rate(s.Rates.Received), sent+", "+table.Rate(s.Rates.Sent)
	}
	add("received", received)
	add("sent", sent)
	if s.Server {
		add("clients", strconv.Itoa(len(s.Clients)))
		if n := s.Counter(journalLost); n > 0 {
			add("journal", strconv.FormatUint(n, 10)+" events lost: the disk failed, or was too slow")
		}
	}
	if err := e.WriteLines(lines...); err != nil {
		return err
	}
	if err := s.scripts(e); err != nil {
		return err
	}
	if !s.Server {
		return s.counters(e)
	}
	if len(s.Clients) == 0 {
		return nil
	}
	text, err := clients.Table(s.Clients, nil, e.Width)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(e.Out, "\n"+text); err != nil || len(s.Routes) == 0 {
		return err
	}
	var rows [][]string
	for _, r := range s.Routes {
		rows = append(rows, []string{r.VirtualAddress, table.Or(r.CommonName), r.RealAddress, table.Local(r.LastRef)})
	}
	fmt.Fprintln(e.Out)
	return table.Write(e, []string{"ROUTE", "COMMON NAME", "REAL ADDRESS", "LAST USED"}, rows)
}

// counters prints a client's numbers as the daemon names them.
func (s Status) counters(e *env.Env) error {
	var rows [][]string
	for _, c := range s.Counters {
		rows = append(rows, []string{c.Name, strconv.FormatUint(c.Value, 10)})
	}
	fmt.Fprintln(e.Out)
	return table.Write(e, []string{"COUNTER", "VALUE"}, rows)
}
