package server

import (
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Controller does what commands ask of the daemon in every phase. Its methods return at once: what takes time they start.
// They are called from the goroutines of seats, without locks, and may call the Server.
type Controller interface {
	// EffectiveSignal tells what a signal becomes, by remap-usr1: SIGUSR1 may be SIGHUP or SIGTERM.
	EffectiveSignal(name string) string
	// Signal acts as if the process had received the signal. reason is empty for the command, mgmt.ReasonDisconnect
	// when the last seat left under management-signal.
	Signal(name, reason string)

	// Verb is the verbosity, 0..15; Mute the limit of equal messages, 0 for none.
	Verb() int
	SetVerb(n int)
	Mute() int
	SetMute(n int)

	// AuthRetry is none, interact or nointeract.
	AuthRetry() string
	SetAuthRetry(mode string)

	// ForgetPasswords drops the private key password, the Auth credentials and the auth token.
	ForgetPasswords()

	// LoadStats is all link traffic since the process started.
	LoadStats() mgmt.ByteCount

	// Client is the running client or point-to-point instance, nil when there is none. It stays through a hold or pause
	// after SIGUSR1, prompts included, and is nil in the initial hold and startup prompts, and those after SIGHUP.
	Client() ClientController
	// Server is the running server instance, nil when there is none, as in any hold of a server.
	Server() ServerController
}

// ClientController is a client or point-to-point instance.
type ClientController interface {
	// Status returns the lines of the report up to and including END. A client ignores the version and returns true.
	Status(version int) ([]string, bool)
	// CRResponse queues a challenge response to the server, false when there is no session or the text is too long.
	CRResponse(text string) bool
	// NetworkChange tells that the host is in another network, or with same back in the one it was in.
	NetworkChange(same bool)
	// Remotes are the configured connection entries in order.
	Remotes() []Remote
	// Traffic returns the counts that bytecount reports; false while no packets are handled, as in a hold.
	Traffic() (mgmt.ByteCount, bool)
}

// ServerController is a server instance.
type ServerController interface {
	// Status returns the report up to and including END; version 0 is the configured one. False: no such version.
	Status(version int) ([]string, bool)
	// Clients counts the clients that finished connecting.
	Clients() int

	// KillName removes the clients of a common name at once, KillAddr those at a real address, and count them. proto is udp
	// or tcp, empty for both. The DISCONNECT notifications come before they return.
	KillName(commonName string) int
	KillAddr(real netip.AddrPort, proto string) int

	// ClientAuth admits the key kid of client cid; config are lines of a client configuration, nil for none. ClientDeny
	// refuses it: reason is for the log, clientReason is sent (empty: AUTH_FAILED alone). The verdict takes effect when the
	// caller, who replies first, calls the function that is returned; nil: no such client or key.
	ClientAuth(cid, kid uint64, config []string) (effect func())
	ClientDeny(cid, kid uint64, reason, clientReason string) (effect func())
	// ClientPending announces a further step. ClientKill sends a message and removes the client later. False: no such
	// client or key.
	ClientPending(cid, kid uint64, extra string, timeout time.Duration) bool
	ClientKill(cid uint64, message string) bool

	// Traffic calls f for every established client with its counters since the instance began.
	Traffic(f func(cid uint64, count mgmt.ByteCount))
}

// PushUpdater is a ServerController that can change pushed options of connected clients (management version 6).
type PushUpdater interface {
	// PushUpdate sends comma-separated options to all clients, or to one, and counts those reached.
	PushUpdate(cid uint64, all bool, options string) (clients int, err error)
}

// PKCS11Controller is a Controller that knows PKCS#11 identities. Without it there are none.
type PKCS11Controller interface {
	PKCS11() []PKCS11Identity
}

// PKCS11Identity is a certificate of a token.
type PKCS11Identity struct {
	ID   string // serialised id
	Cert []byte // DER
}

// Remote is a connection entry.
type Remote struct {
	Host     string
	Port     string
	Proto    string // udp, udp4, udp6, tcp-client, tcp4-client, tcp6-client
	Disabled bool
}

// ClientEvent describes a change of a client of a server.
type ClientEvent struct {
	CID, KID uint64
	// Env are all variables in the order to print them, "name=value", n_clients and the IV_ lines included.
	Env []string
	// PeerInfo are the raw peer-info lines in the client's order; environment filters put them first.
	PeerInfo []string
}
