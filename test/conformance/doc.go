// Package conformance plays the same conversations with the stock daemon and with ours, and compares what the management
// port says, line by line and in order.
//
// # A scenario
//
// One file of testdata is one scenario: its story as comments, what it needs, and the steps of whoever sits at the port.
// Files for the daemons follow behind "-- name --" lines; daemon.conf and peer.conf are appended to the base
// configuration the head names.
//
//	# What this shows, and why it matters.
//	daemon: client
//	peer: server
//
//	attach
//	C: state on
//	C: hold release
//	wait: >STATE:<time>,CONNECTED
//	C: quit
//	end
//	-- daemon.conf --
//	management-hold
//
// Head lines:
//
//	daemon: alone|client|server   base configuration; alone has no peer and no device
//	peer: client|server           a stock daemon at the other end, in a network namespace of its own; repeat for more
//	listen: unix|tcp|tcp6         where the port is; unix is the default
//	listen: dial|dial-tcp         management-client: the daemon connects, to a unix socket or over TCP
//	password: TEXT                of the port
//	stock: RELEASE                only this release of stock plays it
//
// Steps; a digit behind attach, detach, end, C, R and wait names the connection, 1 is the default:
//
//	start              the daemon, which the first attach does otherwise
//	start peer [N]     and stop peer [N]
//	attach             connects
//	C: LINE            sends a line; several may follow each other without waiting
//	R: "BYTES"         sends bytes, a Go string
//	wait: TEXT         takes lines up to one that begins with TEXT, after masking
//	either: TEXT       the same, or until the connection is closed or three seconds are over: where we mean to differ
//	end                takes lines until the daemon closes the connection
//	detach             closes the connection
//	poll: CMD => TEXT  repeats a command until its answer contains TEXT; none of it is compared
//	file: NAME         sends the lines of a file
//	sign: WORD         answers the last PK_SIGN or RSA_SIGN with the command WORD and a signature by client.key
//	log: TEXT          waits for TEXT in the daemon's log
//	signal: NAME       sends the process a signal
//	exit               waits for the end of the process and takes its status
//	P: LINE            sends a line to the peer's port, after which "pwait: TEXT" waits there; "ppoll" is its poll
//
// A running stock daemon drops replies it has not sent when quit comes: wait for the last one before.
//
// Nothing sleeps: a step waits for a line, or for nothing. "either" alone takes a silence for an answer.
//
// # What is compared
//
// All lines a connection received, line ends included. Masked is what differs from run to run or by nature: times, process
// ids, counters, product titles, ports the kernel picks, signatures. Sorted are the rows of status tables, whose order
// is that of a hash, and nothing else: the variables of a block stand in the order of their setting. See masks and settle.
// Lines that come or not by the moment count only where a scenario waits for them: see momentary. In what stock says alone, a name
// that it leaves out by the moment is put back: see named.
//
// # Deliberate differences
//
// The stock daemon is 2.6, or 2.7 where MOONGATE_STOCK says so; ours has the face of that release (option compat). Steps and declared
// lines are written as 2.6 has them: see plain and canonical.
//
// Where we mean to differ, the scenario says so in a "-- differs ROW --" section: the exact lines, "-" stock's and "+"
// ours, hunk by hunk. ROW is the name of a row in the table of docs/management.md, which has the reason. A difference
// that does not appear any more is as wrong as one that is not declared. "-- differs ROW 2.7 --" is for that release alone.
package conformance
