// Package status holds "status", "clients" and "version": reports of the daemon as a table, JSON or its own lines.
package status

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Schemas of the JSON reports (docs/json.md).
const (
	StatusSchema  = "moongate.status/1"
	ClientsSchema = "moongate.clients/1"
	VersionSchema = "moongate.version/1"
)

// Client is a client of a server in JSON.
type Client struct {
	CommonName     string `json:"common_name"`
	RealAddress    string `json:"real_address"`
	VirtualAddress string `json:"virtual_address"`
	VirtualIPv6    string `json:"virtual_ipv6"`
	BytesReceived  uint64 `json:"bytes_received"`
	BytesSent      uint64 `json:"bytes_sent"`
	ConnectedSince string `json:"connected_since"`
	Username       string `json:"username"`
	ClientID       *int64 `json:"client_id"`
	PeerID         *int64 `json:"peer_id"`
	Cipher         string `json:"cipher"`
}

// Route is a row of a server's routing table in JSON.
type Route struct {
	VirtualAddress string `json:"virtual_address"`
	CommonName     string `json:"common_name"`
	RealAddress    string `json:"real_address"`
	LastRef        string `json:"last_ref"`
}

// Report is the JSON of "status".
type Report struct {
	Schema   string            `json:"schema"`
	Role     string            `json:"role"` // "server" or "client"
	Title    string            `json:"title"`
	Updated  string            `json:"updated"`
	Clients  []Client          `json:"clients,omitempty"`
	Routes   []Route           `json:"routes,omitempty"`
	Counters map[string]uint64 `json:"counters"`
}

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	var version int
	status := &cobra.Command{
		Use: "status", Short: "Show statistics, or the clients of a server",
		Long:    "Show a client's byte counters, or a server's clients and routes.",
		Example: "  moongate status\n  moongate status --json | jq '.clients[].common_name'\n  moongate status -o raw --format-version 2",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), e, version) },
	}
	status.Flags().IntVar(&version, "format-version", 0, "with -o raw: format 1, 2 or 3 of the daemon's report")
	clients := &cobra.Command{
		Use: "clients", Short: "List the clients of a server",
		Long:    "List the clients of a server. The daemon of a single tunnel has none: that is exit code 6.",
		Example: "  moongate clients\n  moongate clients --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runClients(cmd.Context(), e) },
	}
	ver := &cobra.Command{
		Use: "version", Short: "Show the versions of this program and of the daemon",
		Long:    "Show what the daemon says about itself. The version of this program is printed by moongate --version.",
		Example: "  moongate version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runVersion(cmd.Context(), e) },
	}
	return []*cobra.Command{status, clients, ver}
}

func runStatus(ctx context.Context, e *env.Env, version int) error {
	return e.With(ctx, func(ctx context.Context, c *client.Client) error {
		if e.Format == "raw" {
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
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		if e.Format == "json" {
			return e.WriteJSON(report(s))
		}
		return table(e, s)
	})
}

func runClients(ctx context.Context, e *env.Env) error {
	return e.With(ctx, func(ctx context.Context, c *client.Client) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		if !s.Server {
			return fmt.Errorf("%w: this daemon is not a server", env.ErrCondition)
		}
		switch e.Format {
		case "json":
			r := report(s)
			if r.Clients == nil {
				r.Clients = []Client{}
			}
			return e.WriteJSON(struct {
				Schema  string   `json:"schema"`
				Clients []Client `json:"clients"`
			}{ClientsSchema, r.Clients})
		case "raw":
			for _, cl := range s.Clients {
				if err := e.WriteLines(strings.Join([]string{cl.CommonName, cl.RealAddress, cl.VirtualAddress, cl.ClientID}, "\t")); err != nil {
					return err
				}
			}
			return nil
		}
		return clientTable(e, s.Clients)
	})
}

func runVersion(ctx context.Context, e *env.Env) error {
	return e.With(ctx, func(ctx context.Context, c *client.Client) error {
		v, err := c.Versions(ctx)
		if err != nil {
			return err
		}
		if e.Format == "json" {
			return e.WriteJSON(struct {
				Schema     string `json:"schema"`
				Daemon     string `json:"daemon"`
				Management int    `json:"management"`
			}{VersionSchema, v.Daemon, v.Management})
		}
		return e.WriteLines("daemon:     "+v.Daemon, "management: "+strconv.Itoa(v.Management))
	})
}

func report(s client.Status) Report {
	r := Report{Schema: StatusSchema, Role: "client", Title: s.Title, Updated: env.Time(s.Updated), Counters: make(map[string]uint64)}
	if s.Server {
		r.Role = "server"
	}
	for _, c := range s.Clients {
		r.Clients = append(r.Clients, Client{c.CommonName, c.RealAddress, c.VirtualAddress, c.VirtualIPv6, c.BytesReceived, c.BytesSent,
			env.Time(c.ConnectedSince), c.Username, id(c.ClientID), id(c.PeerID), c.Cipher})
	}
	for _, x := range s.Routes {
		r.Routes = append(r.Routes, Route{x.VirtualAddress, x.CommonName, x.RealAddress, env.Time(x.LastRef)})
	}
	for _, c := range append(s.Counters, s.Global...) {
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

func id(s string) *int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

func table(e *env.Env, s client.Status) error {
	if !s.Server {
		var rows [][]string
		for _, c := range s.Counters {
			rows = append(rows, []string{c.Name, strconv.FormatUint(c.Value, 10)})
		}
		return Table(e, []string{"COUNTER", "VALUE"}, rows)
	}
	if err := clientTable(e, s.Clients); err != nil || len(s.Routes) == 0 {
		return err
	}
	fmt.Fprintln(e.Out)
	var rows [][]string
	for _, r := range s.Routes {
		rows = append(rows, []string{r.VirtualAddress, r.CommonName, r.RealAddress, local(r.LastRef)})
	}
	return Table(e, []string{"ROUTE", "COMMON NAME", "REAL ADDRESS", "LAST USED"}, rows)
}

func clientTable(e *env.Env, clients []client.StatusClient) error {
	var rows [][]string
	for _, c := range clients {
		virtual := c.VirtualAddress
		if c.VirtualIPv6 != "" {
			virtual = strings.TrimPrefix(virtual+" "+c.VirtualIPv6, " ")
		}
		rows = append(rows, []string{c.ClientID, or(c.CommonName), c.RealAddress, or(virtual), Bytes(c.BytesReceived), Bytes(c.BytesSent),
			local(c.ConnectedSince), or(c.Username), or(c.Cipher)})
	}
	return Table(e, []string{"CID", "COMMON NAME", "REAL ADDRESS", "VIRTUAL ADDRESS", "RECEIVED", "SENT", "SINCE", "USER", "CIPHER"}, rows)
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func local(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// Bytes writes a count of bytes for people.
func Bytes(n uint64) string {
	f, unit := float64(n), 0
	for f >= 1000 && unit < 5 {
		f, unit = f/1000, unit+1
	}
	if unit == 0 {
		return strconv.FormatUint(n, 10) + " B"
	}
	return fmt.Sprintf("%.1f %cB", f, " kMGTP"[unit])
}

// Table prints columns padded by display width.
func Table(e *env.Env, head []string, rows [][]string) error {
	all := append([][]string{head}, rows...)
	width := make([]int, len(head))
	for _, r := range all {
		for i, c := range r {
			r[i] = env.Clean(c)
			width[i] = max(width[i], runewidth.StringWidth(r[i]))
		}
	}
	var b strings.Builder
	for _, r := range all {
		for i, c := range r {
			if i == len(r)-1 {
				b.WriteString(c)
				break
			}
			b.WriteString(runewidth.FillRight(c, width[i]+2))
		}
		b.WriteByte('\n')
	}
	_, err := fmt.Fprint(e.Out, b.String())
	return err
}
