package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/daemon/fleet/node"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// atNode runs f on a seat of the node with a name. The prompt's own session and target stay as they are.
func atNode(ctx context.Context, e *env.Env, name string, f func(ctx context.Context, c *client.Client) error) error {
	far := &env.Env{Getenv: e.Getenv, Timeout: e.Timeout}
	far.SetTarget(target.Target{Name: name, Address: "fleet://" + name, Source: target.FleetDir(e.Getenv)})
	return far.With(ctx, f)
}

// anyNode runs f on a seat of one node: the prompt's, that of -a, else this machine's node, else the first of the others that can be reached.
func anyNode(ctx context.Context, e *env.Env, f func(ctx context.Context, c *client.Client) error) error {
	if e.Session != nil || len(e.Addrs) > 0 {
		return e.With(ctx, f)
	}
	caller, err := node.NewCaller(target.FleetDir(e.Getenv))
	if err != nil {
		return err
	}
	defer caller.Close()
	members, err := caller.Members()
	if err != nil {
		return err
	}
	here := func(m node.Member) bool { return m.Name == caller.Self().Name }
	if i := slices.IndexFunc(members, here); i > 0 {
		own := members[i]
		members = slices.Insert(slices.Delete(members, i, i+1), 0, own)
	}
	var why error
	for _, m := range members {
		began := false
		err := atNode(ctx, e, m.Name, func(ctx context.Context, c *client.Client) error {
			began = true
			return f(ctx, c)
		})
		if began || err == nil {
			return err
		}
		why = errors.Join(why, err)
	}
	return why
}

// order gives an order to the fleet and prints what became of it. One that other nodes have not carried out yet is not done.
func order(ctx context.Context, e *env.Env, words ...string) error {
	return anyNode(ctx, e, func(ctx context.Context, c *client.Client) error {
		text, err := c.Do(ctx, words...)
		return outcome(e, text, err)
	})
}

var errLater = exit{errors.New("other nodes do not have it yet"), env.CodeUnreachable}

func outcome(e *env.Env, text string, err error) error {
	if err != nil {
		return err
	}
	if err := e.WriteLines(text); err != nil {
		return err
	}
	if !mgmt.FleetEverywhere(text) {
		return errLater
	}
	return nil
}

// shared reads the configuration that all nodes have.
func shared(ctx context.Context, e *env.Env) (doc report.FleetConfig, err error) {
	err = anyNode(ctx, e, func(ctx context.Context, c *client.Client) error {
		r, err := c.Cmd(ctx, "fleet-config")
		if err != nil {
			return err
		}
		body := r.Body()
		if len(body) == 0 {
			return errors.New("this daemon is no node of a fleet: its configuration has no fleet DIR")
		}
		if err := json.Unmarshal([]byte(body[0]), &doc); err != nil {
			return fmt.Errorf("the answer of fleet-config: %w", err)
		}
		return nil
	})
	doc.Schema = report.FleetConfigSchema
	return doc, err
}

// complete completes the first argument by what the fleet has.
func complete(e *env.Env, after cobra.ShellCompDirective, of func(report.FleetConfig) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, after
		}
		doc, err := shared(cmd.Context(), e)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list := slices.DeleteFunc(of(doc), func(s string) bool { return !strings.HasPrefix(s, prefix) })
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}
