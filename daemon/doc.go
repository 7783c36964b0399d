// Package daemon stands in for the stock OpenVPN program: the same command line and configuration files, the same
// management port, the same log lines, signals and exit status.
//
// [Main] reads the options, opens log and management port, waits in a hold when told to, and runs one engine after the
// other: daemon/client for clients and peers, daemon/server for servers.
//
//	options ─► log, pid file, background ─► port ─► hold, passwords ─► engine ─► (SIGHUP: options again) ─► exit status
//
// The daemon is the Controller of its management port: commands reach the running engine through it.
package daemon
