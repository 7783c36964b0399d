package report

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Event is a line of "events": a real-time notification, or "lost" and "connected" under --reconnect. Of the fields after Text
// those of its kind are there.
type Event struct {
	Head
	Received string            `json:"received" jsonschema_description:"RFC 3339 in UTC"`
	Kind     string            `json:"kind" jsonschema_description:"the word between > and the colon; empty for lost and connected, which the daemon does not send"`
	Event    string            `json:"event" jsonschema_description:"its name in scripts: state, client.connect, password.need, …; lost and connected mark where something may be missing"`
	Text     string            `json:"text" jsonschema_description:"as it came, without kind, environment and secrets"`
	State    *StateFields      `json:"state,omitempty"`
	Log      *LogFields        `json:"log,omitempty"`
	Echo     *EchoFields       `json:"echo,omitempty"`
	Traffic  *Traffic          `json:"traffic,omitempty" jsonschema_description:"of bytecount and client.bytecount"`
	Client   *EventClient      `json:"client,omitempty" jsonschema_description:"of client.*"`
	Hold     *EventHold        `json:"hold,omitempty"`
	Need     *EventNeed        `json:"need,omitempty" jsonschema_description:"of password.need, needok and needstr"`
	Failed   *EventFailed      `json:"failed,omitempty" jsonschema_description:"of password.failed"`
	Remote   *EventRemote      `json:"remote,omitempty" jsonschema_description:"of remote and proxy"`
	Sign     *EventSign        `json:"sign,omitempty"`
	Notify   *EventNotify      `json:"notify,omitempty"`
	Env      map[string]string `json:"env,omitempty" jsonschema_description:"environment of client.*, up and down; passwords are [...]"`
}

// EventClient says which client of a server an event is about.
type EventClient struct {
	CID        *int64 `json:"cid" jsonschema:"oneof_type=integer;null"`
	KID        *int64 `json:"kid,omitempty" jsonschema_description:"of client.connect, client.reauth and client.cr_response"`
	CommonName string `json:"common_name,omitempty"`
	Username   string `json:"username,omitempty"`
	Address    string `json:"virtual_address,omitempty" jsonschema_description:"of client.address"`
	Primary    *bool  `json:"primary,omitempty" jsonschema_description:"of client.address: its own address, not a route to it"`
}

// EventHold is a daemon that waits for "hold release".
type EventHold struct {
	Seconds float64 `json:"seconds" jsonschema_description:"how long it suggests to wait"`
}

// EventNeed is a question of the daemon.
type EventNeed struct {
	Type      string `json:"type" jsonschema_description:"Auth, Private Key, …"`
	Username  bool   `json:"wants_username" jsonschema_description:"a username is asked for"`
	Password  bool   `json:"wants_password" jsonschema_description:"a password is asked for"`
	Message   string `json:"message,omitempty" jsonschema_description:"of needok and needstr"`
	Challenge string `json:"challenge,omitempty" jsonschema_description:"text of a static challenge"`
	Echo      bool   `json:"challenge_echo,omitempty" jsonschema_description:"the response may be shown"`
	Concat    bool   `json:"challenge_concat,omitempty" jsonschema_description:"the response is appended to the password"`
}

// EventFailed is a refused login.
type EventFailed struct {
	Type   string `json:"type"`
	Reason string `json:"reason,omitempty"`
}

// EventRemote is a question about a server.
type EventRemote struct {
	Host  string `json:"host"`
	Port  string `json:"port,omitempty"`
	Proto string `json:"proto"`
	Index *int   `json:"index,omitempty" jsonschema_description:"of proxy: number of the connection entry"`
}

// EventSign is a request for a signature.
type EventSign struct {
	Data      string `json:"data" jsonschema_description:"base64"`
	Algorithm string `json:"algorithm,omitempty"`
}

// EventNotify is a notice to people.
type EventNotify struct {
	Severity string `json:"severity"`
	Type     string `json:"type"`
	Message  string `json:"message"`
}

// EventOf is a notification as its kind's fields. name is its name in scripts. Secrets are left out.
func EventOf(n client.Notification, name string, received time.Time) Event {
	lines := client.NotificationLines(n)
	for i, l := range lines {
		lines[i] = client.Redact(l)
	}
	_, text, _ := strings.Cut(lines[0], ":")
	ev := Event{Head: Head{Schema: EventSchema}, Received: Time(received), Kind: n.Kind, Event: name, Text: text}
	if mgmt.HasBlock(n.Kind, n.Text) {
		ev.Env = make(map[string]string)
		for _, l := range lines[1 : len(lines)-1] {
			_, kv, _ := strings.Cut(l, ":ENV,")
			k, v, _ := strings.Cut(kv, "=")
			ev.Env[k] = v
		}
	}
	fill(&ev, n.Kind, text)
	return ev
}

// fill reads the fields of a kind. A text that cannot be read stays text only.
func fill(ev *Event, kind, text string) {
	switch kind {
	case mgmt.KindState:
		if s, err := mgmt.ParseState(text); err == nil {
			f := StateOf(s)
			ev.State = &f
		}
	case mgmt.KindLog:
		if l, err := mgmt.ParseLog(text); err == nil {
			ev.Log = &LogFields{Time(l.Time), l.Flags, l.Text}
		}
	case mgmt.KindEcho:
		if l, err := mgmt.ParseEcho(text); err == nil {
			ev.Echo = &EchoFields{Time(l.Time), l.Text}
		}
	case mgmt.KindByteCount:
		ev.Traffic = traffic(text)
	case mgmt.KindByteCountClient:
		cid, rest, _ := strings.Cut(text, ",")
		ev.Client, ev.Traffic = &EventClient{CID: ID(cid)}, traffic(rest)
	case mgmt.KindClient:
		ev.Client = eventClient(text, ev.Env)
	case mgmt.KindHold:
		if wait, err := mgmt.ParseHold(text); err == nil {
			ev.Hold = &EventHold{wait.Seconds()}
		}
	case mgmt.KindPassword:
		if need, err := mgmt.ParseNeed(text); err == nil {
			ev.Need = &EventNeed{Type: need.Type, Username: need.Username, Password: need.Password}
			if c := need.Challenge; c != nil {
				ev.Need.Challenge, ev.Need.Echo, ev.Need.Concat = c.Text, c.Echo, c.Concat
			}
		} else if f, err := mgmt.ParseFailed(text); err == nil {
			ev.Failed = &EventFailed{f.Type, f.Reason}
		}
	case mgmt.KindNeedOK, mgmt.KindNeedStr:
		if q, err := mgmt.ParseQuestion(text); err == nil {
			ev.Need = &EventNeed{Type: q.Type, Message: q.Text}
		}
	case mgmt.KindRemote:
		if r, err := mgmt.ParseRemote(text); err == nil {
			ev.Remote = &EventRemote{Host: r.Host, Port: r.Port, Proto: r.Proto}
		}
	case mgmt.KindProxy:
		if p, err := mgmt.ParseProxy(text); err == nil {
			proto := "udp"
			if p.TCP {
				proto = "tcp"
			}
			ev.Remote = &EventRemote{Host: p.Host, Proto: proto, Index: &p.Index}
		}
	case mgmt.KindPKSign, mgmt.KindRSASign:
		data, algorithm, _ := strings.Cut(text, ",")
		if _, err := base64.StdEncoding.DecodeString(data); err == nil {
			ev.Sign = &EventSign{data, algorithm}
		}
	case mgmt.KindNotify:
		if f := strings.SplitN(text, ",", 3); len(f) == 3 {
			ev.Notify = &EventNotify{f[0], f[1], f[2]}
		}
	}
}

func traffic(text string) *Traffic {
	b, err := mgmt.ParseByteCount(text)
	if err != nil {
		return nil
	}
	return &Traffic{b.In, b.Out}
}

// eventClient reads the head line of a CLIENT event.
func eventClient(text string, env map[string]string) *EventClient {
	f := append(strings.Split(text, ","), "", "", "")
	c := &EventClient{CID: ID(f[1]), CommonName: env["common_name"], Username: env["username"]}
	switch f[0] {
	case mgmt.ClientConnect, mgmt.ClientReauth, mgmt.ClientCRResponse:
		c.KID = ID(f[2])
	case mgmt.ClientAddress:
		primary := f[3] == "1"
		c.Address, c.Primary = f[2], &primary
	}
	return c
}
