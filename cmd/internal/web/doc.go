// Package web is a page about a daemon, for a browser. It takes one seat at the management port, moongate's or stock's, and shares out
// what it sees: the clients as a stream of changes, notifications, and the commands' JSON.
//
//	management port ── feed (one seat) ──► hub ──► streams of browsers (server-sent events)
//	                        ▲
//	                        └── api: status, clients, kill …, each a command on the same seat
//
// docs/web.md describes it for users.
package web
