package client

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// Line joins words into a command line, each quoted as the daemon's lexer needs it.
func Line(words ...string) string {
	for i, w := range words {
		words[i] = lexer.Quote(w)
	}
	return strings.Join(words, " ")
}

// The methods below send a command. Their errors are those of Cmd, and ErrNotManagement or that of the parser of package mgmt when the reply
// has not the form of the command's.

// Do sends a command made of words and returns the text after "SUCCESS: ".
func (c *Client) Do(ctx context.Context, words ...string) (string, error) {
	r, err := c.Cmd(ctx, Line(append([]string(nil), words...)...))
	return r.Text(), err
}

// State returns the newest state.
func (c *Client) State(ctx context.Context) (mgmt.State, error) {
	r, err := c.Cmd(ctx, "state")
	if err != nil {
		return mgmt.State{}, err
	}
	body := r.Body()
	if len(body) == 0 {
		return mgmt.State{}, fmt.Errorf("%w: no state", ErrNotManagement)
	}
	return mgmt.ParseState(body[len(body)-1])
}

// States returns the state history, oldest first.
func (c *Client) States(ctx context.Context) ([]mgmt.State, error) {
	return history(ctx, c, "state all", mgmt.ParseState)
}

// Log returns the newest n entries of the log history, all with n <= 0, oldest first.
func (c *Client) Log(ctx context.Context, n int) ([]mgmt.LogEntry, error) {
	return history(ctx, c, "log "+countWord(n), mgmt.ParseLog)
}

// Echo returns the newest n entries of the echo history, all with n <= 0, oldest first.
func (c *Client) Echo(ctx context.Context, n int) ([]mgmt.EchoEntry, error) {
	return history(ctx, c, "echo "+countWord(n), mgmt.ParseEcho)
}

func countWord(n int) string {
	if n <= 0 {
		return "all"
	}
	return strconv.Itoa(n)
}

func history[T any](ctx context.Context, c *Client, cmd string, parse func(string) (T, error)) ([]T, error) {
	r, err := c.Cmd(ctx, cmd)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, l := range r.Body() {
		v, err := parse(l)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// PID returns the daemon's process id.
func (c *Client) PID(ctx context.Context) (int, error) { return c.number(ctx, "pid", "pid=") }

// Verb returns the log verbosity.
func (c *Client) Verb(ctx context.Context) (int, error) { return c.number(ctx, "verb", "verb=") }

// Mute returns how many log messages of one category pass in a row.
func (c *Client) Mute(ctx context.Context) (int, error) { return c.number(ctx, "mute", "mute=") }

// HoldFlag reports whether the next start will hold.
func (c *Client) HoldFlag(ctx context.Context) (bool, error) {
	n, err := c.number(ctx, "hold", "hold=")
	return n == 1, err
}

// number sends cmd and reads the number behind prefix in its text.
func (c *Client) number(ctx context.Context, cmd, prefix string) (int, error) {
	r, err := c.Cmd(ctx, cmd)
	if err != nil {
		return 0, err
	}
	rest, ok := strings.CutPrefix(r.Text(), prefix)
	n, err := strconv.Atoi(rest)
	if !ok || err != nil {
		return 0, fmt.Errorf("%w: %s answered %q", ErrNotManagement, cmd, r.Text())
	}
	return n, nil
}

// AuthRetry returns none, interact or nointeract.
func (c *Client) AuthRetry(ctx context.Context) (string, error) {
	r, err := c.Cmd(ctx, "auth-retry")
	return strings.TrimPrefix(r.Text(), "auth-retry="), err
}

// LoadStats are the daemon's totals since its start.
type LoadStats struct {
	Clients           int
	BytesIn, BytesOut uint64
}

// LoadStats asks for the totals.
func (c *Client) LoadStats(ctx context.Context) (LoadStats, error) {
	r, err := c.Cmd(ctx, "load-stats")
	if err != nil {
		return LoadStats{}, err
	}
	return ParseLoadStats(r.Text())
}

// ParseLoadStats reads the text of the answer to load-stats.
func ParseLoadStats(text string) (LoadStats, error) {
	var s LoadStats
	if _, err := fmt.Sscanf(text, "nclients=%d,bytesin=%d,bytesout=%d", &s.Clients, &s.BytesIn, &s.BytesOut); err != nil {
		return s, fmt.Errorf("%w: load-stats answered %q", ErrNotManagement, text)
	}
	return s, nil
}

// Scripts asks how the scripts of the daemon are. Stock daemons know no such command.
func (c *Client) Scripts(ctx context.Context) ([]mgmt.ScriptStatus, error) {
	return history(ctx, c, "scripts", mgmt.ParseScript)
}

// Versions hold what the daemon says about itself.
type Versions struct {
	Daemon     string // product line
	Management int    // protocol version
}

// Versions asks the daemon for its product and protocol version.
func (c *Client) Versions(ctx context.Context) (Versions, error) {
	r, err := c.Cmd(ctx, "version")
	if err != nil {
		return Versions{}, err
	}
	var v Versions
	for _, l := range r.Body() {
		name, value, _ := strings.Cut(l, ": ")
		switch name {
		case "OpenVPN Version":
			v.Daemon = value
		case "Management Version", "Management Interface Version":
			v.Management = leadingNumber(value)
		}
	}
	return v, nil
}

// ClientAuth admits a client with the directives of a per-client configuration; none is the same as client-auth-nt.
func (c *Client) ClientAuth(ctx context.Context, cid, kid uint64, directives []string) error {
	head := fmt.Sprintf("client-auth %d %d", cid, kid)
	if len(directives) == 0 {
		_, err := c.Cmd(ctx, fmt.Sprintf("client-auth-nt %d %d", cid, kid))
		return err
	}
	_, err := c.Block(ctx, head, directives)
	return err
}

// ClientDeny refuses a client. reason goes to the log, clientReason (may be empty) to the client.
func (c *Client) ClientDeny(ctx context.Context, cid, kid uint64, reason, clientReason string) error {
	words := []string{"client-deny", strconv.FormatUint(cid, 10), strconv.FormatUint(kid, 10), reason}
	if clientReason != "" {
		words = append(words, clientReason)
	}
	_, err := c.Do(ctx, words...)
	return err
}
