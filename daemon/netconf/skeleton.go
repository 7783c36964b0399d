package netconf

import "errors"

// New opens the system's network configuration.
func New(logf Logf) (Net, error) { return nil, errors.ErrUnsupported }

// PlanRedirect turns redirect-gateway flags into route operations, in order.
func PlanRedirect(in RedirectInput) []Op { return nil }

// Journal is a Net that remembers.
type Journal struct{ Net }

// NewJournal wraps n. path is the file that survives a kill ("" keeps none).
func NewJournal(n Net, path string, logf Logf) *Journal { return &Journal{n} }

// Apply runs a plan of PlanRedirect; steps that fail are logged and the rest goes on.
func (j *Journal) Apply(ops []Op) {}

// UndoRoutes deletes the routes added, in the order they were added, and brings back deleted ones.
func (j *Journal) UndoRoutes() {}

// UndoAddrs deletes the addresses added.
func (j *Journal) UndoAddrs() {}

// Undo is UndoRoutes, then UndoAddrs.
func (j *Journal) Undo() {}

// Recover undoes what journals of processes that no longer run left in dir.
func Recover(n Net, dir string, logf Logf) {}
