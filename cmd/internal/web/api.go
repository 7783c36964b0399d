package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/kill"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/status"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// api is the commands as REST: the answers are those of the commands with --json.
type api struct {
	feed *feed
	book string // directory of the journal, "" for none
	bans *bans  // nil without
}

// commandLimit bounds a command at the management port.
const commandLimit = 10 * time.Second

// ask runs a command and answers with its JSON.
func (a *api) ask(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, c *client.Client) (any, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
	defer cancel()
	var v any
	err := a.feed.with(func(c *client.Client) (err error) {
		v, err = do(ctx, c)
		return err
	})
	var refused *client.ReplyError
	switch {
	case err == nil:
		answer(w, v)
	case errors.As(err, &refused):
		fail(w, http.StatusConflict, err)
	case errors.Is(err, errUnknown):
		fail(w, http.StatusNotFound, err)
	case errors.Is(err, errInput):
		fail(w, http.StatusBadRequest, err)
	case errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusGatewayTimeout, err)
	default:
		fail(w, http.StatusBadGateway, err)
	}
}

var (
	errUnknown = errors.New("no such client")
	errInput   = errors.New("this cannot be")
)

func (a *api) status(w http.ResponseWriter, r *http.Request, _ session) {
	a.ask(w, r, func(ctx context.Context, c *client.Client) (any, error) {
		s, err := status.Read(ctx, c)
		return s.Report(), err
	})
}

func (a *api) clients(w http.ResponseWriter, r *http.Request, _ session) {
	a.ask(w, r, func(ctx context.Context, c *client.Client) (any, error) {
		s, err := c.Status(ctx)
		return report.Clients{Head: report.Head{Schema: report.ClientsSchema}, Clients: report.ClientsOf(s.Clients)}, err
	})
}

func (a *api) version(w http.ResponseWriter, r *http.Request, _ session) {
	a.ask(w, r, func(ctx context.Context, c *client.Client) (any, error) {
		v, err := c.Versions(ctx)
		return report.Version{Head: report.Head{Schema: report.VersionSchema}, Daemon: v.Daemon, Management: v.Management}, err
	})
}

// logLines is how much of the log the page shows.
const logLines = 200

func (a *api) log(w http.ResponseWriter, r *http.Request, _ session) {
	a.ask(w, r, func(ctx context.Context, c *client.Client) (any, error) {
		list, err := c.Log(ctx, logLines)
		out := make([]report.Log, 0, len(list))
		for _, l := range list {
			out = append(out, report.Log{Head: report.Head{Schema: report.LogSchema}, LogFields: report.LogFields{Time: report.Time(l.Time), Flags: l.Flags, Text: l.Text}})
		}
		return out, err
	})
}

// killing is POST /api/kill.
type killing struct {
	ID     string `json:"id"`               // of the row
	Reason string `json:"reason,omitempty"` // for the client
	Ban    bool   `json:"ban,omitempty"`
}

// killed is its answer: that of "kill --json", and in words what happened.
type killed struct {
	report.Kill
	Banned bool   `json:"banned"`
	Text   string `json:"text"`
}

func (a *api) kill(w http.ResponseWriter, r *http.Request, _ session) {
	var in killing
	if err := decode(w, r, &in); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	a.ask(w, r, func(ctx context.Context, c *client.Client) (any, error) {
		if strings.ContainsAny(in.Reason, "\r\n") || len(in.Reason) > reasonMost {
			return nil, fmt.Errorf("%w: a reason is one line of %d bytes at most", errInput, reasonMost)
		}
		s, err := c.Status(ctx)
		if err != nil {
			return nil, err
		}
		for _, h := range s.Clients {
			if rowID(h) == in.ID {
				return a.killOne(ctx, c, h, in)
			}
		}
		return nil, fmt.Errorf("%w: it has gone meanwhile", errUnknown)
	})
}

// reasonMost is the longest reason, in bytes: it travels in one control message.
const reasonMost = 200

// killOne bans first, so that the client cannot come back in between.
func (a *api) killOne(ctx context.Context, c *client.Client, h client.StatusClient, in killing) (killed, error) {
	done := killed{Kill: report.Kill{Head: report.Head{Schema: report.KillSchema}, Clients: report.ClientsOf([]client.StatusClient{h})}}
	name := h.CommonName
	if name == "" {
		name = h.RealAddress
	}
	if in.Ban {
		where, err := a.bans.add(h.CommonName)
		if err != nil {
			return done, fmt.Errorf("%w: %s is not banned, and was not disconnected: %w", errInput, name, err)
		}
		done.Banned = true
		done.Text = fmt.Sprintf(" It cannot connect again: %s says disable.", where)
	}
	if err := kill.One(ctx, c, h, in.Reason); err != nil {
		if done.Banned {
			return done, fmt.Errorf("%s is banned, but not disconnected: %w", name, err)
		}
		return done, err
	}
	did := "was disconnected."
	if in.Reason != "" {
		did = "was told why, and is disconnected within 5 seconds."
	}
	if !done.Banned {
		did += " It may connect again."
	}
	done.Text = name + " " + did + done.Text
	return done, nil
}

// historyMost is how many events the page shows, the newest.
const historyMost = 1000

func (a *api) history(w http.ResponseWriter, r *http.Request, _ session) {
	if a.book == "" {
		fail(w, http.StatusNotFound, errors.New("no journal: start moongate web with --journal DIR"))
		return
	}
	q := r.URL.Query()
	days, err := strconv.Atoi(q.Get("days"))
	if err != nil || days < 1 || days > 3660 {
		days = 7
	}
	f := index.Filter{User: q.Get("user"), CN: q.Get("cn"), Address: q.Get("address"), Since: time.Now().AddDate(0, 0, -days)}
	if k := q.Get("kind"); k != "" {
		f.Kinds = []string{k}
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
	defer cancel()
	list, err := index.Query(ctx, a.book, f)
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	answer(w, historyOf(list[max(0, len(list)-historyMost):]))
}

func historyOf(list []journal.Event) []report.History {
	out := make([]report.History, 0, len(list))
	for _, e := range list {
		out = append(out, report.History{Head: report.Head{Schema: report.HistorySchema}, Event: e})
	}
	return out
}
