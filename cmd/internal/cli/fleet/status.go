package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	memory "github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/node"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

func statusCmd(e *env.Env) *cobra.Command {
	return &cobra.Command{
		Use: "status [DIR]", Short: "Show the nodes of the fleet",
		Long: "Ask each node of the fleet how it is: its clients, since when it runs, its clock, and whether its store answers with a majority. The exit\n" +
			"code is 3 when a node does not answer, and 6 when all do and the store of one does not. With --json it also says how many addresses\n" +
			"of the pool are held, and the version of each node's program.",
		Example: "  moongate fleet status\n  moongate fleet status --json", Args: cobra.MaximumNArgs(1), Annotations: map[string]string{env.Formats: "json"},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := node.NewCaller(dirOf(e, args, 0))
			if err != nil {
				return err
			}
			defer c.Close()
			members, err := c.Members()
			if err != nil {
				return err
			}
			doc := report.Fleet{Head: report.Head{Schema: report.FleetSchema}, Fleet: c.Self().Fleet, Nodes: ask(cmd.Context(), c, members, e.Timeout), NotHeard: []string{}}
			for _, n := range doc.Nodes {
				if !n.Answers {
					doc.NotHeard = append(doc.NotHeard, n.Name)
				}
			}
			if err := show(e, doc); err != nil {
				return err
			}
			warn(e, doc, time.Now())
			return verdict(doc)
		},
	}
}

// ask asks all nodes at the same time.
func ask(ctx context.Context, c *node.Caller, members []node.Member, timeout time.Duration) []report.FleetNode {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nodes := make([]report.FleetNode, len(members))
	var all sync.WaitGroup
	for i, m := range members {
		n := &nodes[i]
		n.Name, n.Address, n.State = m.Name, m.Address, string(m.State)
		all.Go(func() {
			begin := time.Now()
			s, err := c.Status(ctx, m)
			if err != nil {
				n.Error = err.Error()
				return
			}
			n.Answers, n.Since, n.SkewMillis = true, s.Since.UTC().Format(time.RFC3339), skew(s.Time, begin, time.Now())
			if !s.CertificateEnds.IsZero() {
				n.CertificateEnds, n.CertificateError = s.CertificateEnds.UTC().Format(time.RFC3339), s.CertificateError
			}
			n.Mode, n.Ready, n.Leader, n.StoreError = s.Engine.Mode, s.Engine.Ready, s.Engine.Leader, s.Engine.Error
			takeMember(n, s.Member)
		})
	}
	all.Wait()
	return nodes
}

// takeMember takes in what a node remembers of the fleet; nil is of one that starts, or of an older program.
func takeMember(n *report.FleetNode, m *memory.Status) {
	if m == nil {
		return
	}
	n.Draining, n.Sessions, n.Slots, n.Leases, n.Slice = m.Draining, m.Sessions, m.Slots, m.Leases, m.Slice
	if i := slices.IndexFunc(m.Nodes, func(o memory.NodeStatus) bool { return o.Self }); i >= 0 {
		n.Version = m.Nodes[i].Version
	}
	if m.Store == memory.StoreOut {
		n.Ready, n.StoreError = false, m.Why
	}
}

// skew is how far a clock is ahead, 0 when it can be the way of the answer.
func skew(theirs, begin, end time.Time) int64 {
	switch {
	case theirs.Before(begin):
		return theirs.Sub(begin).Milliseconds()
	case theirs.After(end):
		return theirs.Sub(end).Milliseconds()
	default:
		return 0
	}
}

// warn names the nodes whose certificates end soon and are not renewed.
func warn(e *env.Env, doc report.Fleet, now time.Time) {
	for _, n := range doc.Nodes {
		if ends, err := time.Parse(time.RFC3339, n.CertificateEnds); err == nil && ends.Sub(now) < pki.WarnBefore {
			why := n.CertificateError
			if why == "" {
				why = "its node has not tried yet"
			}
			fmt.Fprintf(e.Err, "moongate: the certificate of node %s ends on %s, and is not renewed: %s\n", n.Name, ends.Format(time.DateOnly), why)
		}
	}
}

func verdict(doc report.Fleet) error {
	if len(doc.NotHeard) > 0 {
		return exit{fmt.Errorf("%d of %d nodes answered, not: %s", len(doc.Nodes)-len(doc.NotHeard), len(doc.Nodes), strings.Join(doc.NotHeard, ", ")), env.CodeUnreachable}
	}
	for _, n := range doc.Nodes {
		if !n.Ready {
			return fmt.Errorf("%w: the store of node %s does not answer", env.ErrCondition, n.Name)
		}
	}
	return nil
}

func show(e *env.Env, doc report.Fleet) error {
	if e.Format == "json" {
		return e.WriteJSON(doc)
	}
	var rows [][]string
	for _, n := range doc.Nodes {
		since, clock, clients, state, store := "-", "-", "-", n.State, n.Error
		if n.Answers {
			if t, err := time.Parse(time.RFC3339, n.Since); err == nil {
				since = table.Local(t)
			}
			clients, clock = strconv.Itoa(n.Sessions), "right"
			if n.Draining {
				state = "draining"
			}
			if n.SkewMillis != 0 {
				clock = fmt.Sprintf("%+.1f s", float64(n.SkewMillis)/1000)
			}
			store = n.StoreError
			if n.Ready {
				store = strings.TrimSpace(n.Mode + map[bool]string{true: ", led by " + n.Leader}[n.Leader != ""])
			}
		}
		rows = append(rows, []string{n.Name, table.Or(n.Address), state, clients, since, clock, store})
	}
	return table.Write(e, []string{"NODE", "ADDRESS", "STATE", "CLIENTS", "SINCE", "CLOCK", "STORE"}, rows)
}
