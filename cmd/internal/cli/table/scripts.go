package table

import (
	"strconv"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Scripts prints the Lua scripts of a daemon, and below them the last error of each that had one.
func Scripts(e *env.Env, list []mgmt.ScriptStatus) error {
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{
			s.Name, string(s.State), Local(s.Since), strconv.Itoa(s.Handlers), strconv.FormatUint(s.Events, 10), strconv.FormatUint(s.Errors, 10),
			strconv.FormatUint(s.Dropped, 10), Bytes(uint64(max(0, s.Memory))),
		})
	}
	if err := Write(e, []string{"SCRIPT", "STATE", "SINCE", "HANDLERS", "EVENTS", "ERRORS", "DROPPED", "MEMORY"}, rows); err != nil {
		return err
	}
	for _, s := range list {
		if s.LastError == "" {
			continue
		}
		if err := e.WriteLines(s.Name + ": last error: " + s.LastError); err != nil {
			return err
		}
	}
	return nil
}
