package reference

import "github.com/moongate-vpn/moongate/mgmt"

const stateFields = "time: Unix time since when\nname: CONNECTING, RESOLVE, WAIT, AUTH, GET_CONFIG, ASSIGN_IP, ADD_ROUTES, CONNECTED, RECONNECTING, EXITING\n" +
	"detail: SUCCESS, ERROR or ROUTE_ERROR of CONNECTED, the reason of RECONNECTING and EXITING\naddress: own IPv4 address in the tunnel\n" +
	"remote address, remote port: the other end of the link\nlocal address, local port: this end\naddress: own IPv6 address in the tunnel, missing without one"

const (
	logFields  = "time: Unix time\nflags: F fatal, N error, W warning, I information, D debug, or none\ntext: the message, commas included"
	echoFields = "time: Unix time\ntext: what the echo directive says"
	success    = "SUCCESS: text, or ERROR: reason"
)

var commands = map[string]entry{
	"auth-retry":          {"auth-retry interact", "SUCCESS: auth-retry=none, interact or nointeract"},
	"bytecount":           {"bytecount 5", success + "; then >BYTECOUNT: or >BYTECOUNT_CLI: at each interval"},
	"certificate":         {"certificate\n-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\nEND", success},
	"client-auth":         {"client-auth 4 1\npush \"route 10.20.0.0 255.255.0.0\"\nEND", success},
	"client-auth-nt":      {"client-auth-nt 4 1", success},
	"client-deny":         {"client-deny 4 1 \"not on the list\" \"ask the help desk\"", success},
	"client-kill":         {"client-kill 4 \"RESTART,maintenance\"", success + "; the client goes 5 seconds later"},
	"client-pending-auth": {"client-pending-auth 4 1 \"WEB_AUTH::https://login.example.com/4\" 120", success},
	"cr-response":         {"cr-response NDI0MjQy", success},
	"echo":                {"echo on all", "SUCCESS: for on and off; for all and a number lines up to END:\n" + echoFields},
	"env-filter":          {"env-filter 2", success},
	"exit":                {"exit", "none; the session ends"},
	"forget-passwords":    {"forget-passwords", success},
	"help":                {"help", "lines up to END, one a command"},
	"hold":                {"hold release", "without a word SUCCESS: hold=0 or hold=1, whether the next start holds; else " + success},
	"kill":                {"kill laptop-joe", success + ", with the number of clients"},
	"load-stats":          {"load-stats", "nclients: connected clients\nbytesin: bytes received since the start\nbytesout: bytes sent since the start"},
	"log":                 {"log on 20", "SUCCESS: for on and off; for all and a number lines up to END:\n" + logFields},
	"mute":                {"mute 10", "SUCCESS: mute=N"},
	"nclients":            {"nclients", "SUCCESS: nclients=N"},
	"needok":              {"needok token-insertion-request ok", success},
	"needstr":             {"needstr pkcs11-id-request ID", success},
	"net":                 {"net", "lines up to END"},
	"network-change":      {"network-change samenetwork", success},
	"password":            {"password Auth \"correct horse\"", success + "; what the server thinks of it comes later"},
	"pid":                 {"pid", "SUCCESS: pid=N"},
	"pk-sig":              {"pk-sig\nBASE64…\nEND", success},
	"pkcs11-id-count":     {"pkcs11-id-count", ">PKCS11ID-COUNT:N"},
	"pkcs11-id-get":       {"pkcs11-id-get 0", ">PKCS11ID-ENTRY:'index', ID:'id', BLOB:'certificate'"},
	"proxy":               {"proxy HTTP proxy.example.com 8080", success},
	"push-update-broad":   {"push-update-broad \"route 10.30.0.0 255.255.0.0\"", success},
	"push-update-cid":     {"push-update-cid 4 \"-route 10.30.0.0\"", success},
	"quit":                {"quit", "none; the session ends"},
	"reload":              {"reload", "lines up to END:\noption: a directive that changed\noutcome: applied, reconnect (in force for newcomers) or restart (not in force)"},
	"remote":              {"remote MOD other.example.com 1194", success},
	"remote-entry-count":  {"remote-entry-count", "a number, then END"},
	"remote-entry-get":    {"remote-entry-get all", "lines up to END:\nindex: from 0\nhost, port, protocol: of the connection entry"},
	"rsa-sig":             {"rsa-sig\nBASE64…\nEND", success},
	"scripts":             {"scripts", "lines up to END, one a script: its name, state, times, counters and last error, as \"moongate scripts\" shows them"},
	"signal":              {"signal SIGUSR1", success},
	"state":               {"state on 1", "SUCCESS: for on and off; else lines up to END:\n" + stateFields},
	"status":              {"status 3", "lines up to END. Of a client counters, \"name,value\". Of a server, with a HEADER line for each kind of row:\nCLIENT_LIST: common name, real address, virtual address, virtual IPv6 address, bytes received, bytes sent, connected since (twice), username, client id, peer id, cipher\nROUTING_TABLE: virtual address, common name, real address, last use (twice)\nGLOBAL_STATS: name, value"},
	"test":                {"test 3", "as many lines as asked for"},
	"username":            {"username Auth joe", success},
	"verb":                {"verb 4", "SUCCESS: verb=N"},
	"version":             {"version", "lines up to END:\nOpenVPN Version: the product\nManagement Version: the protocol"},
}

var kinds = map[string]entry{
	mgmt.KindInfo:            {">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info", "text: the greeting, once a session"},
	mgmt.KindHold:            {">HOLD:Waiting for hold release:0", "seconds: how long the daemon suggests to wait\nAnswer: hold release"},
	mgmt.KindPassword:        {">PASSWORD:Need 'Auth' username/password\n>PASSWORD:Verification Failed: 'Auth'\n>PASSWORD:Auth-Token:…", "type: Auth, Private Key, HTTP Proxy, SOCKS Proxy, or a label with \"token\"\nSC:flags,text: a static challenge\nAnswer: username TYPE NAME, password TYPE TEXT"},
	mgmt.KindNeedOK:          {">NEED-OK:Need 'token-insertion-request' confirmation MSG:Please insert your token", "type, text\nAnswer: needok TYPE ok or cancel"},
	mgmt.KindNeedStr:         {">NEED-STR:Need 'name' input MSG:Please give your name", "type, text\nAnswer: needstr TYPE TEXT"},
	mgmt.KindState:           {">STATE:1795480816,CONNECTED,SUCCESS,10.8.0.2,192.0.2.1,1194,,", stateFields + "\nSwitch on: state on"},
	mgmt.KindLog:             {">LOG:1795480816,I,Initialization Sequence Completed", logFields + "\nSwitch on: log on"},
	mgmt.KindEcho:            {">ECHO:1795480816,hello", echoFields + "\nSwitch on: echo on"},
	mgmt.KindByteCount:       {">BYTECOUNT:1200,800", "received, sent: bytes on the link\nSwitch on: bytecount SECONDS"},
	mgmt.KindByteCountClient: {">BYTECOUNT_CLI:4,1200,800", "client id\nreceived, sent: bytes on the link\nSwitch on: bytecount SECONDS"},
	mgmt.KindClient:          {">CLIENT:CONNECT,4,1\n>CLIENT:ENV,common_name=laptop\n>CLIENT:ENV,END", "event: CONNECT, REAUTH, ESTABLISHED, DISCONNECT, CR_RESPONSE or ADDRESS\nclient id\nkey id: of CONNECT, REAUTH and CR_RESPONSE\nENV lines: what scripts get as environment\nAnswer to CONNECT and REAUTH: client-auth, client-auth-nt, client-deny or client-pending-auth"},
	mgmt.KindUpDown:          {">UPDOWN:UP\n>UPDOWN:ENV,dev=tun0\n>UPDOWN:ENV,END", "UP or DOWN\nENV lines: what scripts get as environment"},
	mgmt.KindInfoMsg:         {">INFOMSG:WEB_AUTH::https://login.example.com/4", "text: from the server"},
	mgmt.KindNotify:          {">NOTIFY:info,remote-exit,EXIT", "severity\ntype: server-pushed-connection-reset, server-pushed-halt, remote-exit; of moongate prompt-answered, lost-lines\ntext"},
	mgmt.KindRemote:          {">REMOTE:vpn.example.com,1194,udp", "host, port, protocol\nAnswer: remote ACCEPT, SKIP or MOD HOST PORT"},
	mgmt.KindProxy:           {">PROXY:1,TCP,vpn.example.com", "index: of the connection entry, from 1\nprotocol: TCP or UDP\nhost: the server\nAnswer: proxy"},
	mgmt.KindNeedCertificate: {">NEED-CERTIFICATE:hint", "hint: what the configuration says\nAnswer: certificate"},
	mgmt.KindPKSign:          {">PK_SIGN:BASE64,RSA_PKCS1_PADDING", "data: what to sign, base64\nalgorithm\nAnswer: pk-sig"},
	mgmt.KindRSASign:         {">RSA_SIGN:BASE64", "data: what to sign, base64\nAnswer: rsa-sig"},
	mgmt.KindFatal:           {">FATAL:cannot open the device", "text: why the daemon ends; the session is closed right after it"},
	mgmt.KindPKCS11Count:     {">PKCS11ID-COUNT:1", "number of identities"},
	mgmt.KindPKCS11Entry:     {">PKCS11ID-ENTRY:'0', ID:'…', BLOB:'…'", "index\nID: of the identity\nBLOB: its certificate, base64"},
}
