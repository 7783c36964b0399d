package mgmt

// Reasons in the detail of RECONNECTING and EXITING besides the names of signals. They may contain blanks, no commas. To
// a client they are free text.
const (
	ReasonInitInstance     = "init_instance"             // signal caught while (re)initialising
	ReasonUSR1ToHUP        = "close_context usr1 to hup" // SIGUSR1 caught there
	ReasonPingRestart      = "ping-restart"
	ReasonPingExit         = "ping-exit"
	ReasonConnectionReset  = "connection-reset"  // TCP peer closed
	ReasonConnectionFailed = "connection-failed" // TCP connect failed
	ReasonTLSError         = "tls-error"
	ReasonServerPoll       = "server_poll"
	ReasonAuthFailure      = "auth-failure"
	ReasonAuthControl      = "auth-control-exit" // a plugin refused the peer's key
	ReasonAuthToken        = "auth-failure (auth-token)"
	ReasonAuthTemp         = "auth-temp-failure (server temporary reject)"
	ReasonPrivateKey       = "private-key-password-failure"
	ReasonServerReset      = "server-pushed-connection-reset"
	ReasonServerHalt       = "server-pushed-halt"
	ReasonRemoteExit       = "remote-exit"
	ReasonExitNotification = "exit-with-notification"
	ReasonInactive         = "inactive"
	ReasonSessionTimeout   = "session-timeout"
	ReasonDisconnect       = "management-disconnect"
	ReasonManagementExit   = "management-exit"
	ReasonConnectFailed    = "management-connect-failed"
	ReasonPortShare        = "port-share-redirect" // another protocol, handed on
	ReasonResolve          = "Could not determine IPv4/IPv6 protocol"
	ReasonHTTPProxy        = "HTTP proxy error"
	ReasonSOCKS            = "socks-error"
	ReasonSOCKSResolve     = "socks-resolve-failure"
	ReasonNoPushReply      = "no-push-reply"
	ReasonPushFailed       = "process-push-msg-failed"
	ReasonPushOffending    = "Offending option received from server"
	ReasonInitFailed       = "connection initialisation failed"
	ReasonDecryption       = "decryption-error"
	ReasonUnreachable      = "network-unreachable"
	ReasonNetworkChange    = "network-change"
	ReasonTunStop          = "tun-stop"
	ReasonTunAbort         = "tun-abort"
	ReasonIPFail           = "ip-fail"
)

// Signal names the signal command takes, upper case.
const (
	SIGHUP  = "SIGHUP"
	SIGTERM = "SIGTERM"
	SIGUSR1 = "SIGUSR1"
	SIGUSR2 = "SIGUSR2"
	SIGINT  = "SIGINT"
)

// Signals lists the signal names, the undocumented SIGINT last.
func Signals() []string { return []string{SIGHUP, SIGTERM, SIGUSR1, SIGUSR2, SIGINT} }

// Values of auth-retry.
const (
	AuthRetryNone       = "none"
	AuthRetryInteract   = "interact"
	AuthRetryNoInteract = "nointeract"
)
