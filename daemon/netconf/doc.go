// Package netconf gives a tunnel device its addresses and puts routes into the system.
//
// Net is the small interface to the system: New gives the real one (netlink on Linux), netconftest one in memory.
// A Journal wraps a Net, remembers everything added and takes it back, in the order stock does; a file keeps
// what would outlive a killed process (host routes, a replaced default route), so that Recover can repair it at the next start.
// PlanRedirect turns the flags of redirect-gateway into route operations; it is a pure function.
//
// All log lines go through a function like logging.Logger.Msg.
package netconf
