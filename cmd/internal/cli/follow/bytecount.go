package follow

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

func newByteCount(e *env.Env) *cobra.Command {
	var interval int
	var follow, reconnect bool
	cmd := &cobra.Command{
		Use: "bytecount", Short: "Show bytes received and sent", Long: "Show the daemon's totals, or with -f a report at each interval until interrupted: of the daemon, or of each client of a server.",
		Example: "  moongate bytecount\n  moongate bytecount -f --interval 5 --json", Args: cobra.NoArgs,
		Annotations: map[string]string{env.Formats: "json,raw"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < 1 {
				return env.Usagef("--interval must be at least 1")
			}
			if reconnect && !follow {
				return env.Usagef("--reconnect goes with -f")
			}
			if !follow {
				return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error {
					s, err := c.LoadStats(ctx)
					if err != nil {
						return err
					}
					return writeBytes(e, "", mgmt.ByteCount{In: s.BytesIn, Out: s.BytesOut})
				})
			}
			return env.UntilInterrupted(e.Follow(cmd.Context(), reconnect, func(ctx context.Context, c *client.Client, _ bool) error {
				return followBytes(ctx, e, c, interval)
			}))
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "report at each interval")
	cmd.Flags().IntVar(&interval, "interval", 1, "seconds between reports")
	cmd.Flags().BoolVar(&reconnect, "reconnect", false, "with -f: dial again when the daemon is lost")
	return cmd
}

func followBytes(ctx context.Context, e *env.Env, c *client.Client, interval int) error {
	sub := c.Subscribe(mgmt.KindByteCount, mgmt.KindByteCountClient)
	defer sub.Close()
	if _, err := c.Cmd(ctx, fmt.Sprintf("bytecount %d", interval)); err != nil {
		return err
	}
	for {
		n, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		cid, text := "", n.Text
		if n.Kind == mgmt.KindByteCountClient {
			cid, text, _ = strings.Cut(n.Text, ",")
		}
		b, err := mgmt.ParseByteCount(text)
		if err != nil {
			return err
		}
		if err := writeBytes(e, cid, b); err != nil {
			return err
		}
	}
}

func writeBytes(e *env.Env, cid string, b mgmt.ByteCount) error {
	switch e.Format {
	case "json":
		return e.WriteJSON(report.ByteCount{Head: report.Head{Schema: report.ByteCountSchema}, Time: report.Time(time.Now()), CID: report.ID(cid),
			Traffic: report.Traffic{BytesReceived: b.In, BytesSent: b.Out}})
	case "raw":
		return e.WriteLines(strings.TrimPrefix(fmt.Sprintf("%s,%d,%d", cid, b.In, b.Out), ","))
	}
	who := ""
	if cid != "" {
		who = "client " + cid + "  "
	}
	return e.WriteLines(fmt.Sprintf("%sin %s  out %s", who, table.Bytes(b.In), table.Bytes(b.Out)))
}
