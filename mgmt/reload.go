package mgmt

// Outcome tells what a reload did about a changed option.
type Outcome string

// Outcomes, the least effort first.
const (
	OutcomeApplied   Outcome = "applied"   // in force
	OutcomeReconnect Outcome = "reconnect" // in force for newcomers; connected clients get it when they connect again
	OutcomeRestart   Outcome = "restart"   // not in force before the daemon is restarted (reload full)
)

// Reloaded is one line of a reload's report: an option that changed, in lines or in the content of its file.
type Reloaded struct {
	Option  string
	Outcome Outcome
}

// String is the line of the reply.
func (r Reloaded) String() string { return r.Option + "," + string(r.Outcome) }
