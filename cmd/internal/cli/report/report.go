// Package report is the JSON that commands print: one type for each schema, one name and one type for each thing in all of them.
//
// The schema files in docs/schema are generated from these types (go test ./cmd/internal/cli -run Schema -update). Within a version fields
// are only added; a field that changes its meaning or goes away makes a new version.
package report

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Schemas, each the name of a file in docs/schema.
const (
	StatusSchema    = "moongate.status/2"
	ClientsSchema   = "moongate.clients/2"
	VersionSchema   = "moongate.version/1"
	StateSchema     = "moongate.state/1"
	LogSchema       = "moongate.log/1"
	EchoSchema      = "moongate.echo/1"
	EventSchema     = "moongate.event/2"
	ByteCountSchema = "moongate.bytecount/2"
	LoadStatsSchema = "moongate.load-stats/1"
	PIDSchema       = "moongate.pid/1"
	SettingSchema   = "moongate.setting/1"
	ReplySchema     = "moongate.reply/1"
	LinesSchema     = "moongate.lines/1"
	KillSchema      = "moongate.kill/1"
	WaitSchema      = "moongate.wait/1"
	ReloadSchema    = "moongate.reload/1"
	TargetsSchema   = "moongate.targets/1"
	CheckSchema     = "moongate.check/1"
	ScriptsSchema   = "moongate.scripts/1"
	HistorySchema   = "moongate.history/1"
	SessionSchema   = "moongate.session/1"
	FleetSchema     = "moongate.fleet/1"
	InviteSchema    = "moongate.fleet-invite/1"

	FleetConfigSchema = "moongate.fleet-config/1"
)

// Head starts every object.
type Head struct {
	Schema string `json:"schema" jsonschema_description:"name and version of this object's schema"`
	// Origin is filled in by env.WriteJSON, which alone knows it.
	Origin string `json:"origin,omitempty" jsonschema_description:"name of the target, when -a names several"`
}

// Documents are a value of each schema's type.
func Documents() map[string]any {
	return map[string]any{
		StatusSchema: Status{}, ClientsSchema: Clients{}, VersionSchema: Version{}, StateSchema: State{}, LogSchema: Log{}, EchoSchema: Echo{}, EventSchema: Event{},
		ByteCountSchema: ByteCount{}, LoadStatsSchema: LoadStats{}, PIDSchema: PID{}, SettingSchema: Setting{}, ReplySchema: Reply{}, LinesSchema: Lines{},
		KillSchema: Kill{}, WaitSchema: Wait{}, ReloadSchema: Reload{}, TargetsSchema: Targets{}, CheckSchema: Check{}, ScriptsSchema: Scripts{}, HistorySchema: History{}, SessionSchema: Session{},
		FleetSchema: Fleet{}, InviteSchema: FleetInvite{}, FleetConfigSchema: FleetConfig{},
	}
}

// Client is a client of a server.
type Client struct {
	CommonName     string `json:"common_name" jsonschema_description:"from its certificate, empty when not known"`
	RealAddress    string `json:"real_address" jsonschema_description:"address and port it comes from"`
	VirtualAddress string `json:"virtual_address" jsonschema_description:"IPv4 address in the tunnel, empty without one"`
	VirtualIPv6    string `json:"virtual_ipv6" jsonschema_description:"IPv6 address in the tunnel, empty without one"`
	BytesReceived  uint64 `json:"bytes_received" jsonschema_description:"by the server, from this client"`
	BytesSent      uint64 `json:"bytes_sent" jsonschema_description:"by the server, to this client"`
	ConnectedSince string `json:"connected_since" jsonschema_description:"RFC 3339 in UTC, empty when not known"`
	Username       string `json:"username" jsonschema_description:"empty when none was given"`
	CID            *int64 `json:"cid" jsonschema:"oneof_type=integer;null" jsonschema_description:"the daemon's number for this connection, null when it does not say"`
	PeerID         *int64 `json:"peer_id" jsonschema:"oneof_type=integer;null" jsonschema_description:"number on the wire, null when the daemon does not say"`
	Cipher         string `json:"cipher" jsonschema_description:"of the data channel, empty when not known"`
}

// Route is a row of a server's routing table.
type Route struct {
	VirtualAddress string `json:"virtual_address" jsonschema_description:"address or network behind the client"`
	CommonName     string `json:"common_name"`
	RealAddress    string `json:"real_address"`
	LastRef        string `json:"last_ref" jsonschema_description:"when it was used last, RFC 3339 in UTC"`
}

// StateFields hold what the daemon says about a state.
type StateFields struct {
	Time       string `json:"time" jsonschema_description:"since when, RFC 3339 in UTC"`
	Name       string `json:"name" jsonschema_description:"CONNECTING, WAIT, AUTH, GET_CONFIG, ASSIGN_IP, ADD_ROUTES, CONNECTED, RECONNECTING, EXITING and others"`
	Detail     string `json:"detail" jsonschema_description:"SUCCESS or ERROR of CONNECTED, the reason of RECONNECTING and EXITING"`
	TunIPv4    string `json:"tun_ipv4" jsonschema_description:"own address in the tunnel"`
	TunIPv6    string `json:"tun_ipv6"`
	RemoteAddr string `json:"remote_addr" jsonschema_description:"the other end of the link"`
	RemotePort uint16 `json:"remote_port" jsonschema_description:"0 when not known"`
	LocalAddr  string `json:"local_addr"`
	LocalPort  uint16 `json:"local_port" jsonschema_description:"0 when not known"`
}

// Traffic is bytes on the link.
type Traffic struct {
	BytesReceived uint64 `json:"bytes_received"`
	BytesSent     uint64 `json:"bytes_sent"`
}

// Rates are bytes a second on the link.
type Rates struct {
	Received float64 `json:"received" jsonschema_description:"bytes a second"`
	Sent     float64 `json:"sent" jsonschema_description:"bytes a second"`
	Seconds  float64 `json:"seconds" jsonschema_description:"the time it is the mean of: what --rate asked for, else since the state began"`
}

// Status is the answer of "status".
type Status struct {
	Head
	Role     string            `json:"role" jsonschema:"enum=server,enum=client"`
	Title    string            `json:"title" jsonschema_description:"what the daemon calls its report"`
	Updated  string            `json:"updated" jsonschema_description:"RFC 3339 in UTC"`
	State    *StateFields      `json:"state,omitempty" jsonschema_description:"the newest state; missing when the daemon told none"`
	Cipher   string            `json:"cipher,omitempty" jsonschema_description:"of a client's data channel, where its log still tells it"`
	Traffic  *Traffic          `json:"traffic,omitempty"`
	Rates    *Rates            `json:"rates,omitempty"`
	Clients  []Client          `json:"clients,omitempty" jsonschema_description:"of a server"`
	Routes   []Route           `json:"routes,omitempty" jsonschema_description:"of a server"`
	Scripts  []Script          `json:"scripts,omitempty" jsonschema_description:"Lua scripts that the daemon runs; missing without any, and from stock daemons"`
	Counters map[string]uint64 `json:"counters" jsonschema_description:"the daemon's own numbers, their names in lower case with _ for what is no letter or digit"`
}

// Clients is the answer of "clients".
type Clients struct {
	Head
	Clients []Client `json:"clients"`
}

// Version is the answer of "version".
type Version struct {
	Head
	Daemon     string `json:"daemon" jsonschema_description:"the product line of the daemon"`
	Management int    `json:"management" jsonschema_description:"version of the management protocol"`
}

// State is a line of "state".
type State struct {
	Head
	StateFields
}

// LogFields are a line of the log.
type LogFields struct {
	Time  string `json:"time" jsonschema_description:"RFC 3339 in UTC"`
	Flags string `json:"flags" jsonschema_description:"F fatal, N non-fatal error, W warning, I information, D debug, or none"`
	Text  string `json:"text"`
}

// Log is a line of "log".
type Log struct {
	Head
	LogFields
}

// EchoFields are an echo directive.
type EchoFields struct {
	Time string `json:"time" jsonschema_description:"RFC 3339 in UTC"`
	Text string `json:"text"`
}

// Echo is a line of "echo".
type Echo struct {
	Head
	EchoFields
}

// ByteCount is a line of "bytecount".
type ByteCount struct {
	Head
	Time string `json:"time" jsonschema_description:"when it was received, RFC 3339 in UTC"`
	CID  *int64 `json:"cid,omitempty" jsonschema_description:"the client it is about; missing for the daemon's totals"`
	Traffic
}

// LoadStats is the answer of "load-stats".
type LoadStats struct {
	Head
	Clients int `json:"clients" jsonschema_description:"number of connected clients"`
	Traffic
}

// PID is the answer of "pid".
type PID struct {
	Head
	PID int `json:"pid"`
}

// Setting is the answer of a command that shows a setting.
type Setting struct {
	Head
	Hold      *bool   `json:"hold,omitempty" jsonschema_description:"whether the next start holds"`
	Verb      *int    `json:"verb,omitempty" jsonschema_description:"verbosity of the log, 0 to 15"`
	Mute      *int    `json:"mute,omitempty" jsonschema_description:"after how many equal messages the log falls silent, 0 for never"`
	AuthRetry *string `json:"auth_retry,omitempty" jsonschema:"enum=none,enum=interact,enum=nointeract"`
}

// Reply is the answer of a command that changed something.
type Reply struct {
	Head
	Command string `json:"command"`
	Text    string `json:"text" jsonschema_description:"the daemon's words"`
}

// Lines is the answer to a raw management command.
type Lines struct {
	Head
	Command string   `json:"command" jsonschema_description:"as it was sent, secrets replaced"`
	OK      bool     `json:"ok" jsonschema_description:"false when the daemon answered ERROR"`
	Lines   []string `json:"lines" jsonschema_description:"the reply as it came"`
}

// Kill is the answer of "kill".
type Kill struct {
	Head
	DryRun  bool     `json:"dry_run" jsonschema_description:"true when nobody was disconnected"`
	Clients []Client `json:"clients" jsonschema_description:"who was disconnected, or would be"`
}

// Wait is the answer of "wait": the state or the client that was waited for.
type Wait struct {
	Head
	State  *StateFields `json:"state,omitempty"`
	Client *Client      `json:"client,omitempty"`
}

// Change is an option that a reload found changed.
type Change struct {
	Option  string `json:"option"`
	Outcome string `json:"outcome" jsonschema_description:"applied, reconnect (in force for newcomers) or restart (not in force)"`
}

// History is an event of the journal, as "history" prints it.
type History struct {
	Head
	Daemon string `json:"daemon,omitempty" jsonschema_description:"whose journal it is, where a folder holds those of several"`
	journal.Event
}

// Session is a session of the journal, as "last" and "sessions" print it.
type Session struct {
	Head
	Daemon string `json:"daemon,omitempty" jsonschema_description:"whose journal it is, where a folder holds those of several"`
	index.Session
}

// Reload is the answer of "reload".
type Reload struct {
	Head
	Changes []Change `json:"changes"`
}

// Script is a Lua script of a daemon.
type Script struct {
	Name      string `json:"name" jsonschema_description:"its file"`
	State     string `json:"state" jsonschema_description:"starting, ready, running, draining, failed or ended"`
	Since     string `json:"since" jsonschema_description:"start of this run, or its end"`
	Handlers  int    `json:"handlers"`
	Events    uint64 `json:"events" jsonschema_description:"handled, in all its runs"`
	Errors    uint64 `json:"errors"`
	Dropped   uint64 `json:"dropped" jsonschema_description:"events that were lost because the script was too slow"`
	Memory    int64  `json:"memory" jsonschema_description:"of its data, in bytes"`
	LastError string `json:"last_error" jsonschema_description:"with file and line, empty without one"`
}

// ScriptsOf are the scripts of a daemon.
func ScriptsOf(list []mgmt.ScriptStatus) []Script {
	rows := make([]Script, len(list))
	for i, s := range list {
		rows[i] = Script{
			Name: s.Name, State: string(s.State), Since: Time(s.Since), Handlers: s.Handlers, Events: s.Events, Errors: s.Errors,
			Dropped: s.Dropped, Memory: s.Memory, LastError: s.LastError,
		}
	}
	return rows
}

// Scripts is the output of "scripts".
type Scripts struct {
	Head
	Scripts []Script `json:"scripts"`
}

// Target is a daemon that "targets" knows.
type Target struct {
	Name    string  `json:"name"`
	Address string  `json:"address"`
	Source  string  `json:"source" jsonschema_description:"the file or folder that names it"`
	State   *string `json:"state,omitempty" jsonschema_description:"of targets test: the daemon's state"`
	Error   string  `json:"error,omitempty" jsonschema_description:"of targets test: why it was not reached"`
}

// Targets is the answer of "targets".
type Targets struct {
	Head
	Targets []Target `json:"targets"`
}

// Severities of findings.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Finding is something that "check" says about a file.
type Finding struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty" jsonschema_description:"from 1; missing when it is about the whole file"`
	Column   int    `json:"column,omitempty" jsonschema_description:"from 1; missing when it is about the whole line"`
	Severity string `json:"severity" jsonschema:"enum=error,enum=warning"`
	Rule     string `json:"rule" jsonschema_description:"a stable word for its kind: syntax, unknown, file, contradiction, plugin, script, script-names, deprecated, ignored, insecure, notice"`
	Message  string `json:"message"`
	Option   string `json:"option,omitempty" jsonschema_description:"of the rule unknown: the name that no option has"`
}

// Check is the answer of "check".
type Check struct {
	Head
	Files    []string  `json:"files" jsonschema_description:"what was checked"`
	Findings []Finding `json:"findings"`
}

// Time is a time in JSON: seconds, in UTC, "" when not known.
func Time(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// ClientOf is a row of a status report.
func ClientOf(c client.StatusClient) Client {
	return Client{c.CommonName, c.RealAddress, c.VirtualAddress, c.VirtualIPv6, c.BytesReceived, c.BytesSent,
		Time(c.ConnectedSince), c.Username, ID(c.ClientID), ID(c.PeerID), c.Cipher}
}

// ClientsOf are rows of a status report, never nil.
func ClientsOf(rows []client.StatusClient) []Client {
	all := make([]Client, 0, len(rows))
	for _, c := range rows {
		all = append(all, ClientOf(c))
	}
	return all
}

// StateOf are the fields of a state.
func StateOf(s mgmt.State) StateFields {
	return StateFields{Time(s.Time), s.Name, s.Detail, Address(s.TunIPv4), Address(s.TunIPv6), Address(s.Remote.Addr()), s.Remote.Port(),
		Address(s.Local.Addr()), s.Local.Port()}
}

// Address is an address in JSON, "" when not known.
func Address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// ID reads one of the daemon's numbers, nil when it is none.
func ID(s string) *int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}
