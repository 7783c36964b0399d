// Package hooks runs the scripts of a configuration: up, down, route-up, tls-verify, client-connect and the others.
//
// A script gets exactly the environment the daemon gives it, nothing is inherited, not even PATH; its output goes
// where the daemon's goes. It never runs on the goroutine of an engine's packets, and it has a deadline: one that
// takes longer is killed with everything it started, and counts as failed.
package hooks
