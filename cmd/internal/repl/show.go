package repl

import (
	"fmt"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script/lib"
)

// Colours of notifications.
const (
	plainText = ""
	red       = "\x1b[31m"
	green     = "\x1b[32m"
	yellow    = "\x1b[33m"
	magenta   = "\x1b[35m"
	cyan      = "\x1b[36m"
	faint     = "\x1b[2m"
)

// Person is a notification for people: local time, names in place of numbers, one line. colour is one of the constants above.
func Person(n client.Notification, now time.Time) (text, colour string) {
	ev := report.EventOf(n, lib.EventName(n), now)
	at := now
	add := func(parts ...string) string {
		var kept []string
		for _, p := range parts {
			if p != "" {
				kept = append(kept, p)
			}
		}
		return strings.Join(kept, "  ")
	}
	switch {
	case ev.State != nil:
		s, _ := mgmt.ParseState(n.Text)
		remote := ""
		if s.Remote.IsValid() {
			remote = "remote " + s.Remote.String()
		}
		colour = yellow
		switch {
		case s.Name == mgmt.StateConnected && s.Detail == mgmt.DetailSuccess:
			colour = green
		case s.Name == mgmt.StateExiting || s.Name == mgmt.StateConnected:
			colour = red
		}
		at, text = s.Time, add("state "+s.Name, s.Detail, report.Address(s.TunIPv4), report.Address(s.TunIPv6), remote)
	case ev.Log != nil:
		l, _ := mgmt.ParseLog(n.Text)
		switch l.Flags {
		case mgmt.FlagFatal, mgmt.FlagNonFatal:
			colour = red
		case mgmt.FlagWarning:
			colour = yellow
		case mgmt.FlagDebug:
			colour = faint
		}
		at, text = l.Time, add("log "+table.Or(l.Flags), l.Text)
	case ev.Echo != nil:
		l, _ := mgmt.ParseEcho(n.Text)
		at, text = l.Time, "echo  "+l.Text
	case ev.Traffic != nil:
		who := "bytes"
		if ev.Client != nil && ev.Client.CID != nil {
			who = fmt.Sprintf("bytes of client %d", *ev.Client.CID)
		}
		colour, text = faint, add(who, "in "+table.Bytes(ev.Traffic.BytesReceived), "out "+table.Bytes(ev.Traffic.BytesSent))
	case ev.Client != nil:
		colour, text = cyan, clientText(ev)
	case ev.Hold != nil:
		colour, text = magenta, "hold  the daemon waits for: hold release"
	case ev.Failed != nil:
		colour, text = red, add("failed  '"+ev.Failed.Type+"' was refused", ev.Failed.Reason)
	case ev.Need != nil && n.Kind == mgmt.KindPassword:
		colour, text = magenta, add("asks  for '"+ev.Need.Type+"'", ev.Need.Challenge)
	case ev.Need != nil:
		answer := strings.ToLower(strings.ReplaceAll(n.Kind, "-", ""))
		colour, text = magenta, add("asks  "+ev.Need.Message, "(answer: "+answer+" "+client.Line(ev.Need.Type)+" …)")
	case n.Kind == mgmt.KindFatal:
		colour, text = red, "fatal  "+ev.Text
	case ev.Notify != nil:
		colour, text = yellow, add("notice  "+ev.Notify.Message, "("+ev.Notify.Type+")")
	default:
		text = add(ev.Event, ev.Text)
	}
	return at.Local().Format(time.TimeOnly) + "  " + env.Clean(text), colour
}

// clientText is an event about a client of a server.
func clientText(ev report.Event) string {
	who := "?"
	if ev.Client.CID != nil {
		who = fmt.Sprint(*ev.Client.CID)
	}
	who = "client " + who
	if ev.Client.CommonName != "" {
		who += " " + ev.Client.CommonName
	}
	if ev.Client.Username != "" {
		who += " (" + ev.Client.Username + ")"
	}
	what := strings.TrimPrefix(ev.Event, "client.")
	switch what {
	case "connect", "reauth":
		if ev.Client.KID != nil && ev.Client.CID != nil {
			what += fmt.Sprintf("  (answer: client-auth-nt %d %d or client-deny %[1]d %[2]d REASON)", *ev.Client.CID, *ev.Client.KID)
		}
	case "address":
		what += " " + ev.Client.Address
	}
	return who + "  " + what
}
