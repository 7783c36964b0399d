package fleet

import (
	"errors"
	"time"
)

// A Client is one that has logged in at this node.
type Client struct {
	// ID is the host's own number of it.
	ID uint64
	// Identity is whom an address is for.
	Identity string
	// Mark tells clients of one identity apart: two sessions of one mark are one client. An empty mark is like no other.
	Mark string
	// User is whose sessions a limit counts; "" is not limited.
	User string
	// Kills and bans name CommonName and Account.
	CommonName, Account string
	// Serial is the number of its certificate in decimal digits, "" without one.
	Serial string
	Since  time.Time
	// Fixed says that it has an address of its own and needs none of the pool.
	Fixed bool
	// Returning says that it came with a token, and does not wait until its user's places are counted.
	Returning bool
}

// named reports whether a kill or a ban is about a client. The names that are not empty must all be its own; one at least is not empty.
func (c *Client) named(user, commonName string) bool {
	if user == "" && commonName == "" {
		return false
	}
	return (user == "" || user == c.Account) && (commonName == "" || commonName == c.CommonName)
}

// Reasons to turn a client away.
var (
	ErrBanned    = errors.New("banned in the fleet")
	ErrRevoked   = errors.New("certificate revoked in the fleet")
	ErrDraining  = errors.New("the node is being drained")
	ErrLimit     = errors.New("too many sessions of the user")
	ErrExhausted = errors.New("no address is free in the fleet's pool, nor in this node's slice of it")
	ErrOut       = errors.New("this node is no part of the fleet")
	ErrEnded     = errors.New("ended by the fleet while it logged in")
)

// A Reason is why the fleet ends a client.
type Reason string

// Reasons.
const (
	Moved   Reason = "moved"          // the same client is at another node, or came again
	Limited Reason = "limit"          // the user has newer sessions
	Killed  Reason = "killed"         // by an order
	Banned  Reason = "banned"         // by a ban
	Revoked Reason = "revoked"        // by a revocation
	Lost    Reason = "address-lost"   // another client has its address
	Expired Reason = "address-unsure" // the fleet could not confirm its address in time
)

// A Host is the server that a [Member] serves. Its method returns at once; it may be called while one of the member's is.
type Host interface {
	// End ends a client, which the host answers with [Member.End] when the client has no address any more.
	End(id uint64, why Reason)
}

// session is a client of this node as the fleet knows it.
type session struct {
	Client
	Holder
	slot  int    // -1 without an address of the pool
	rev   uint64 // at which the lease was seen to be ours; 0 before
	base  uint64 // of the lease that a provisional one takes the place of
	fence time.Time
	place int  // of its user, -1 without one
	late  bool // its place is claimed in the background
	// writing says that its lease is on its way to the store, though it is in already.
	writing bool
}

// lease is the lease that a session wants the store to have.
func (s *session) lease() *Lease { return &Lease{Holder: s.Holder, Since: s.Since} }
