// Package plugin runs OpenVPN's plugins: shared objects that hear of events and decide about some. The daemon loads none
// itself. A helper program, moongate-plugin, is the keeper: it forks a worker for each plugin, and a worker loads one shared
// object.
//
//	daemon ──control── keeper            start, kill, ended
//	   └────calls───── worker 0 … n      open, call, log, close
//
// Each line is a SOCK_SEQPACKET socket and carries one message a packet. The daemon makes the socket of a worker and
// hands its end to the keeper. A worker that crashes, or that takes too long and is killed, fails the event it was at; the
// next event starts it anew, after a pause when it fails again and again. Nothing is accepted on behalf of a plugin that
// does not answer.
//
// Decisions: docs/decisions/0060-plugins-in-workers.md, docs/decisions/0061-privileges-of-plugins.md.
package plugin
