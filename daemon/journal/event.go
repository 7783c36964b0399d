// Package journal keeps what happened on a daemon: events as JSON lines in segments that only grow. Nothing that records an event
// waits for the disk, and a disk that fails loses events and nothing else. docs/journal.md is the description of an event.
package journal

import "time"

// Version is the version of the events' schema, in each event.
const Version = 1

// Kinds of events.
const (
	KindStart      = "start"      // of the daemon
	KindStop       = "stop"       // of the daemon
	KindLogin      = "login"      // decided, with Verdict
	KindConnect    = "connect"    // a tunnel is up, with Tunnel
	KindRenewal    = "renewal"    // of a tunnel's keys, by the client's login
	KindDisconnect = "disconnect" // with In, Out and Seconds
	KindKill       = "kill"       // of a client, by the management port
	KindHook       = "hook"       // a script of the configuration ended, with Verdict
	KindReload     = "reload"     // with Verdict
	KindCommand    = "command"    // at the management port, by Who
	KindState      = "state"      // of a client: its name in Text
	KindLost       = "lost"       // events before this one: how many in Text
)

// Kinds are all kinds.
var Kinds = []string{KindStart, KindStop, KindLogin, KindConnect, KindRenewal, KindDisconnect, KindKill, KindHook, KindReload, KindCommand, KindState, KindLost}

// Verdicts.
const (
	Accepted = "accepted"
	Refused  = "refused"
	Done     = "done"
	Failed   = "failed"
)

// Stamped returns the event with what is the same for all of a run: version and run, and the time when it has none.
func (e Event) Stamped(run int64) Event {
	e.Version, e.Run = Version, run
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	return e
}

// Event is one line of the journal. It never holds a secret: no password, token, challenge or answer.
type Event struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"` // UTC, milliseconds
	Kind    string    `json:"kind"`
	// Run and CID name a session: the start of the daemon in milliseconds since 1970, and the client's number in it.
	Run     int64    `json:"run"`
	CID     *uint64  `json:"cid,omitempty"`
	User    string   `json:"user,omitempty"`
	CN      string   `json:"cn,omitempty"`      // common name
	Address string   `json:"address,omitempty"` // of the peer outside the tunnel, without the port
	Port    uint16   `json:"port,omitempty"`
	Tunnel  []string `json:"tunnel,omitempty"` // addresses in the tunnel
	Verdict string   `json:"verdict,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	In      uint64   `json:"in,omitempty"`      // bytes from the peer, on the link
	Out     uint64   `json:"out,omitempty"`     // bytes to the peer, on the link
	Seconds float64  `json:"seconds,omitempty"` // length of the session; what a login, hook or reload took
	Who     string   `json:"who,omitempty"`     // the seat at the management port
	Text    string   `json:"text,omitempty"`    // the command; the type of hook; the program; the state
}
