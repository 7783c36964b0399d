package jet

import (
	"crypto/tls"
	"errors"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// ErrLeftOut says that this build has no engine.
var ErrLeftOut = errors.New("this build has no fleet: it was made with the tag nofleet")

// Config is a server of NATS within this process.
type Config struct {
	// Name is the node's, unique in the fleet.
	Name string
	// Dir is where JetStream keeps its files. It belongs to one engine.
	Dir string
	// Routes is the cluster. Nil is a server alone: one with a cluster but without other nodes would never have a majority.
	Routes *Routes
	// Log takes the server's own lines; nil drops them.
	Log logging.Func
}

// Routes let the servers of a cluster find and trust each other.
type Routes struct {
	// Cluster is the fleet's id: servers of another cluster are turned away.
	Cluster string
	// Listen is HOST:PORT, HOST empty for all addresses.
	Listen string
	// Advertise is the HOST:PORT that the others are told.
	Advertise string
	// Peers are HOST:PORT of other nodes. One that answers is enough: it tells of the others.
	Peers []string
	// TLS is used at both ends of a route. It must demand and check a certificate of the other end, whichever end that is.
	TLS *tls.Config
}

// Outside is a NATS cluster that runs without us.
type Outside struct {
	// URL is one or several addresses with commas between: nats://HOST:PORT or tls://HOST:PORT.
	URL string
	// Credentials is a file of credentials, "" for none.
	Credentials string
	// TLS is nil for the system's authorities.
	TLS *tls.Config
	// Bucket is the name of the key-value bucket, so that several fleets fit into one cluster.
	Bucket string
	// Replicas is how many servers keep the bucket.
	Replicas int
	// Name is the node's, for the cluster's list of connections.
	Name string
	// Log takes what happens to the connection; nil drops it.
	Log logging.Func
}
