package daemon

import (
	"slices"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/server"
)

// lost is how many events the journal lost.
type lost func() uint64

// lostRow is the name of the row in a status report.
const lostRow = "Journal events lost"

// tell adds a row to a report, once there is something to tell: until then a report is the same as stock's. The row is one of the last kind: a
// client's counter, or a global number of a server in the form of its version.
func (l lost) tell(report []string) []string {
	n := l()
	end := len(report) - 1
	if n == 0 || end < 1 {
		return report
	}
	row := lostRow + "," + strconv.FormatUint(n, 10)
	if rest, ok := strings.CutPrefix(report[end-1], "GLOBAL_STATS"); ok {
		sep := rest[:1]
		row = "GLOBAL_STATS" + sep + strings.Replace(row, ",", sep, 1)
	}
	return slices.Insert(slices.Clip(report), end, row)
}

// Status implements server.ServerController.
func (s askedServer) Status(version int) ([]string, bool) {
	lines, ok := s.Server.Status(version)
	return s.lost.tell(lines), ok
}

// toldClient is a client whose status tells what the journal lost.
type toldClient struct {
	server.ClientController
	lost lost
}

// Status implements server.ClientController.
func (c toldClient) Status(version int) ([]string, bool) {
	lines, ok := c.ClientController.Status(version)
	return c.lost.tell(lines), ok
}
