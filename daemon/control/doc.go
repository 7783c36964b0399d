// Package control is the control channel of one peer: TLS over the reliability layer, the exchange of key
// messages, the key states of a session and their renewal, and the text messages between engines.
//
// There is no socket and no clock here. Packets and a time go in, packets, events and the next deadline come
// out:
//
//	Input(pkt, now)       one control packet from the link
//	Step(now)             moves TLS, timers and retransmissions; returns when to call again
//	Event()               what happened, until it has no more
//	Next()                packets for the link, until it has no more
//
// An engine calls them in this order after each batch of packets, after each Wake, at the deadline, and
// after each call of a method that sends something. Events come first: the peer may use a new key as soon as it has the
// packets.
//
// # Key states
//
// A session has a primary key state and, for a while, the one before it: the lame duck. Each has its own
// key id, message ids and TLS connection.
//
//	                 client                                server
//	INITIAL          -- reset queued -->                    reset received
//	PRE_START        own reset is not acked yet
//	START            resets done both ways, TLS handshake running
//	                 SENT_KEY  key message sent             GOT_KEY   key message read
//	                 GOT_KEY   the server's was read        SENT_KEY  own one sent
//	ACTIVE           all that was sent is acked
//
//	renewal:   primary --soft reset--> lame duck --tran-window, or the next soft reset--> gone
//	failure:   new primary --hand-window, TLS error--> gone; the lame duck is primary again
//
// Either end may start a renewal, and both may at once: each one's soft reset then answers the other's.
//
// # Goroutines
//
// crypto/tls can only wait for input by blocking, so each handshake runs in a goroutine of its own. It ends
// with the handshake, and [Session.Close] waits for it. A connected session has no goroutine: reads of a
// finished connection return at once when there is nothing to read.
//
// A [Session] has one owner at a time; its methods must not be called concurrently. Config.Wake is called
// from handshake goroutines.
package control
