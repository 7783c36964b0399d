package mgmt

// Kinds of real-time notifications: the word between '>' and the first colon.
const (
	KindInfo            = "INFO"             // greeting, once per session
	KindHold            = "HOLD"             // prompt: hold release
	KindPassword        = "PASSWORD"         // prompt for secrets, failed verification, or auth token
	KindNeedOK          = "NEED-OK"          // prompt: needok
	KindNeedStr         = "NEED-STR"         // prompt: needstr
	KindState           = "STATE"            // needs "state on"
	KindLog             = "LOG"              // needs "log on"
	KindEcho            = "ECHO"             // needs "echo on"
	KindByteCount       = "BYTECOUNT"        // needs "bytecount n"; a client's counters
	KindByteCountClient = "BYTECOUNT_CLI"    // needs "bytecount n"; one client of a server
	KindClient          = "CLIENT"           // server: block about one client, except ADDRESS
	KindUpDown          = "UPDOWN"           // block: tunnel up or down
	KindInfoMsg         = "INFOMSG"          // text from the server
	KindNotify          = "NOTIFY"           // severity,type,text
	KindRemote          = "REMOTE"           // prompt: remote
	KindProxy           = "PROXY"            // prompt: proxy
	KindNeedCertificate = "NEED-CERTIFICATE" // prompt: certificate
	KindPKSign          = "PK_SIGN"          // prompt: pk-sig, to clients that announced version 2
	KindRSASign         = "RSA_SIGN"         // prompt: rsa-sig, to older clients
	KindFatal           = "FATAL"            // the session is closed right after it
	KindPKCS11Count     = "PKCS11ID-COUNT"   // direct answer to pkcs11-id-count
	KindPKCS11Entry     = "PKCS11ID-ENTRY"   // direct answer to pkcs11-id-get
)

// Kind is a row of the table of notifications.
type Kind struct {
	Name      string
	Switch    string // the command that makes the daemon tell them, "" when it does so by itself
	Lua       string // the event of scripts, "" when the text decides, or scripts have none
	Droppable bool   // losing one costs a slow reader only a line of a stream that it can read again from a history or the next tick
	Example   string
	Fields    string // a field a line, "name: meaning"
}

// Kinds returns the table of notifications. It must not be changed.
func Kinds() []Kind { return kinds }

var kindByName = func() map[string]*Kind {
	m := make(map[string]*Kind, len(kinds))
	for i := range kinds {
		m[kinds[i].Name] = &kinds[i]
	}
	return m
}()

// LookupKind finds a kind by its name, nil if there is none.
func LookupKind(name string) *Kind { return kindByName[name] }

// Droppable is the fact of the row; no kind of another daemon is.
func Droppable(kind string) bool {
	k := LookupKind(kind)
	return k != nil && k.Droppable
}

// KindNames lists the names of all kinds.
func KindNames() []string {
	names := make([]string, len(kinds))
	for i := range kinds {
		names[i] = kinds[i].Name
	}
	return names
}

// Events of the CLIENT family: the first field of the head line.
const (
	ClientConnect     = "CONNECT"
	ClientReauth      = "REAUTH"
	ClientAddress     = "ADDRESS" // a single line, no block
	ClientEstablished = "ESTABLISHED"
	ClientDisconnect  = "DISCONNECT"
	ClientCRResponse  = "CR_RESPONSE"
)

// HasBlock reports whether a head line of this kind and text is followed by ENV lines and ENV,END.
func HasBlock(kind, text string) bool {
	switch kind {
	case KindUpDown:
		return true
	case KindClient:
		return len(text) < len(ClientAddress)+1 || text[:len(ClientAddress)+1] != ClientAddress+","
	}
	return false
}

// Types of NOTIFY notifications. The last four are ours: how many lines a seat lost because it did not read; that
// another seat has answered a prompt, "KIND,type"; and behind a mux, that the daemon is lost, with the reason, and found
// again, with its greeting.
const (
	NotifyReset      = "server-pushed-connection-reset"
	NotifyHalt       = "server-pushed-halt"
	NotifyRemoteExit = "remote-exit"
	NotifyLostLines  = "lost-lines"
	NotifyAnswered   = "prompt-answered"
	NotifyLost       = "daemon-lost"
	NotifyFound      = "daemon-found"
)

// Types of secrets in PASSWORD prompts. The type of a PKCS#11 PIN is "<label> token".
const (
	SecretAuth       = "Auth"
	SecretPrivateKey = "Private Key"
	SecretHTTPProxy  = "HTTP Proxy"
	SecretSOCKSProxy = "SOCKS Proxy"
)
