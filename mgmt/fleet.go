package mgmt

import "strings"

// Texts of a fleet's replies to orders, after SUCCESS, that say that other nodes have not carried one out yet.
const (
	// FleetLater ends the reply while the fleet's store is away.
	FleetLater = "the others follow when the fleet can be reached again"
	// FleetUnconfirmed precedes the names of nodes.
	FleetUnconfirmed = "not confirmed yet by: "
)

// FleetEverywhere reports whether a reply says that all nodes have carried out an order, or will without further notice.
func FleetEverywhere(reply string) bool {
	return !strings.Contains(reply, FleetLater) && !strings.Contains(reply, FleetUnconfirmed)
}
