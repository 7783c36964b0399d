// Package mgmt is the vocabulary of the management interface: the names of states, reasons, notification kinds, signals
// and commands, and the types of the entries its histories hold. It knows no connections and no daemon; server, client,
// prompt and scripts all import it.
//
// # Words
//
// A seat is one attached management client; stock has one, moongate any number. A reply answers a command of a seat. A
// real-time notification is a line (or a block of lines) starting with '>' that the daemon sends by itself. A prompt is a
// notification that waits for an answer and is shown again to seats that come later.
//
// # Times
//
// Entries carry Unix seconds on the wire; sub-second parts of a time.Time are dropped.
package mgmt
