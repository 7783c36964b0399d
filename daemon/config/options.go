package config

import (
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Options is a complete configuration after macros, derived values and checks. Its groups are embedded, so that every
// field is reached as opts.Field; a field is written once, in the group of its concern.
//
// The zero value of a field means "not given" unless its comment states a default; Parse fills the defaults in.
// Options is not changed after Parse but by ApplyPushed, which an engine calls on its own Clone. UpdatePushed makes new ones.
type Options struct {
	General
	Timers
	Scripts
	Device
	Routing
	DNS
	Transport
	Server
	Client
	TLS
	Crypto
	Compression
	Management
	Pulled

	// Connections are the final profiles in configured order, after proto-force and before remote-random. There is
	// always at least one; for a server it tells where to listen.
	Connections []Connection

	// Tool is set when the command line asks for something else than a tunnel.
	Tool Tool

	// Notes are lines for the log at the start, in order, once logging is set up; Warnings are lines about what is doubtful, at each
	// start of an instance.
	Notes    []Note
	Warnings []Note

	directives []Directive // the lines in the order they were read, those of included files in their place, for Diff and the parameter dump
	state      parseState  // what the rules need between parsing and checking
}

// Note is a line for the log.
type Note struct {
	Level logging.Level
	Text  string
}

// General is about the process as a whole.
type General struct {
	Config string // path of the configuration file as given; empty when everything was on the command line

	Verb int // 0 to 11, default 1
	Mute int // consecutive lines of one category before the rest is suppressed; 0 never

	Log                   string // file for standard output and error
	LogAppend             bool   // do not truncate Log
	Syslog                bool   // also implied by Daemon without Log
	Ident                 string // syslog name, default "openvpn"
	SuppressTimestamps    bool
	MachineReadableOutput bool
	ErrorsToStderr        bool

	Daemon  bool // go to the background
	CD      string
	Chroot  string
	Jail    *Jail // of Chroot; nil without one, and in a process that is in it
	User    string
	Group   string
	Nice    int
	Mlock   bool
	PIDFile string // writepid
	TmpDir  string // default $TMPDIR or /tmp

	Status         string        // file
	StatusInterval time.Duration // default 60 s; 0 only at SIGUSR2
	StatusVersion  int           // 1, 2 or 3; default 1

	Env             []EnvVar // setenv and setenv-safe in order, later ones win
	Echo            []string // echo and parameter: texts for the management port, in order
	ReloadCompat    bool     // SIGHUP restarts a server instead of reloading it; an extension of ours
	RemapUSR1       string   // "SIGHUP", "SIGTERM" or empty
	CompatMode      Version  // zero: none
	DisableOCC      bool     // no options compatibility string
	PersistTun      bool
	PersistKey      bool
	PersistRemoteIP bool
}

// EnvVar is a variable of the script environment.
type EnvVar struct{ Name, Value string }

// Version is a release number of three components.
type Version struct{ Major, Minor, Patch int }

// Timers are the clocks of a session. Zero is off.
type Timers struct {
	Ping           time.Duration // send a keepalive after this silence of ours
	PingRestart    time.Duration // SIGUSR1 after this silence of the peer
	PingExit       time.Duration // SIGTERM after this silence of the peer
	PingTimerRem   bool          // timers run only while a remote address is known
	Inactive       time.Duration // end when fewer than InactiveBytes passed in this time
	InactiveBytes  int64
	SessionTimeout time.Duration
}

// unsaid stands for a clock that the configuration of a client does not set.
const unsaid = -1

// unsaidTimers are the clocks of a client without any of its own.
func unsaidTimers() Timers {
	return Timers{Ping: unsaid, PingRestart: unsaid, PingExit: unsaid, Inactive: unsaid, SessionTimeout: unsaid}
}

// Over returns the clocks of a client of a server: its own, also those that are off, and the server's in the place of others.
func (t Timers) Over(server Timers) Timers {
	for _, c := range []struct{ own, server *time.Duration }{
		{&t.Ping, &server.Ping},
		{&t.PingRestart, &server.PingRestart},
		{&t.PingExit, &server.PingExit},
		{&t.SessionTimeout, &server.SessionTimeout},
	} {
		if *c.own == unsaid {
			*c.own = *c.server
		}
	}
	if t.Inactive == unsaid {
		t.Inactive, t.InactiveBytes = server.Inactive, server.InactiveBytes
	}
	t.PingTimerRem = t.PingTimerRem || server.PingTimerRem
	return t
}

// Pin makes those of a client's clocks its own that were pushed to it: a reload does not change what both ends agreed on.
func (t *Timers) Pin(server Timers) {
	now := t.Over(server)
	t.Ping, t.PingRestart = now.Ping, now.PingRestart
}

// Scripts are external commands. A command is one string, split by mgmt/lexer when it runs.
type Scripts struct {
	ScriptSecurity int // 0 to 3, default 1

	Up, Down           string
	DownPre            bool // run Down before the device is closed
	UpDelay            bool // implied by Pull
	UpRestart          bool // run Up and Down also at a restart with PersistTun
	RouteUp            string
	RoutePreDown       string
	IPChange           string
	DNSUpdown          string // command, "disable", "force" or empty: as BuiltinDNS says
	TLSVerify          string
	TLSCryptV2Verify   string
	ClientConnect      string
	ClientDisconnect   string
	ClientCRResponse   string
	LearnAddress       string
	AuthUserPassVerify string
	AuthViaFile        bool // AuthUserPassVerify gets a file instead of variables

	Plugins []Plugin // in the order in which they are called
}

// Plugin is a shared object that hears of events, with its arguments.
type Plugin struct {
	Name string // a path, or a name in the plugin folder
	Args []string
}

// Device is the tunnel device.
type Device struct {
	Dev      string   // "tun", "tun7", "null" or a free name
	DevType  DevType  // derived from Dev when not given
	DevNode  string   // default /dev/net/tun
	LLAddr   string   // MAC address of a tap device
	Topology Topology // default net30, and subnet for servers under compat 2.7

	Ifconfig              Ifconfig
	IfconfigIPv6          IfconfigIPv6
	IfconfigNoexec        bool
	IfconfigNowarn        bool // addresses that seem wrong are not warned of
	TxQueueLen            int  // 0: leave it alone
	Shaper                int  // outgoing bytes per second; 0 no limit
	BlockIPv6             bool
	ClientNAT             []ClientNAT
	Compat                Compat
	DisableOffload        bool // read and write one packet at a time
	PassTOS               bool
	MTUTest               bool
	AllowRecursiveRouting bool
}

// Routing says what happens to the route table.
type Routing struct {
	Routes            []Route
	RoutesIPv6        []RouteIPv6
	RouteGateway      string        // address, host name with AllowPullFQDN, or empty
	RouteGatewayDHCP  bool          // route-gateway dhcp
	RouteIPv6Gateway  string        // address
	RouteMetric       int           // default metric, 0 none
	RouteTable        int           // 0 main
	RouteDelay        time.Duration // wait before routes are added
	RouteDelayDefined bool
	RouteDelayWindow  time.Duration // default 30 s
	RouteNoexec       bool
	RouteNopull       bool
	Redirect          Redirect
	AllowPullFQDN     bool
}

// DNS are resolver settings for scripts.
type DNS struct {
	// ForeignOptions are the values of dhcp-option, "dhcp-option DNS 192.0.2.1". Scripts see ForeignForScripts.
	ForeignOptions   []string
	DNSSearchDomains []string
	DNSServers       []DNSServer // by priority
}

// DNSServer is one number of the dns option.
type DNSServer struct {
	Priority       int
	Addresses      []DNSAddress // at most 8
	ResolveDomains []string
	DNSSEC         string // "yes", "optional", "no" or empty
	Transport      string // "plain", "DoT", "DoH" or empty
	SNI            string

	pulled bool
}

// Transport are the settings of the outer connection that all profiles share.
type Transport struct {
	RemoteRandom           bool
	RemoteRandomHostname   bool
	ResolvRetry            time.Duration // resolvInfinite by default; 0 tries once
	Preresolve             bool
	IPRemoteHint           string
	ConnectRetryMax        int // rounds through the list; 0 endless
	ProtoForce             Proto
	SndBuf, RcvBuf         int   // bytes; 0 the system's choice
	Mark                   int64 // 0 none
	MarkDefined            bool
	BindDev                string
	TCPNoDelay             bool // socket-flags TCP_NODELAY
	Multihome              bool
	MultihomeSameInterface bool
	Float                  bool // any profile floats
}

// resolvInfinite is the value of ResolvRetry that never gives up.
const resolvInfinite = time.Duration(1<<63 - 1)

// Connection is one profile: where to connect to and how.
type Connection struct {
	Proto        Proto      // never the ambiguous "tcp"
	Remote       string     // host; empty on servers
	RemotePort   string     // number or service name, default 1194
	Local        string     // address to bind to; empty any
	LocalPort    string     // number or service name, default 1194
	Listeners    []Listener // of a server, at least one; the first is Local, LocalPort and Proto
	Bind         bool       // bind to Local and LocalPort; false: the system picks a port
	BindIPv6Only bool
	Float        bool

	ConnectRetry    time.Duration // pause between attempts, default 1 s
	ConnectRetryMax time.Duration // longest pause, default 300 s
	ConnectTimeout  time.Duration // for the TCP or proxy connection and for the first answer, default 120 s

	HTTPProxy  *HTTPProxy  // nil: none
	SOCKSProxy *SOCKSProxy // nil: none

	TunMTU        int // bytes, default 1500
	TunMTUDefined bool
	OCCMTU        int    // what the compatibility string tells, 0: TunMTU
	TunMTUMax     int    // largest pushed TunMTU, default 1600
	TunMTUExtra   int    // 32 for tap
	LinkMTU       int    // 0: derived from TunMTU
	Fragment      int    // bytes; 0 off
	FragmentEncap bool   // Fragment includes outer headers ("mtu")
	MSSFix        int    // bytes; 0 off
	MSSFixEncap   bool   // MSSFix is the outer IP packet ("mtu")
	MSSFixFixed   bool   // MSSFix is the inner IP packet ("fixed")
	MTUDisc       string // "no", "maybe", "yes" or empty
	MaxPacketSize int    // control packets, bytes, default 1250

	ExplicitExitNotify int // seconds on clients, 1 or 2 on servers; 0 off

	KeyDirection          KeyDirection
	TLSAuth               Source
	TLSCrypt              Source
	TLSCryptV2            Source
	TLSCryptV2ForceCookie bool // servers: answer nobody without a cookie round trip

	set connSet
}

// Listener is one socket of a server.
type Listener struct {
	Host  string // address or name to bind to; empty any
	Port  string // number or service name
	Proto Proto
}

// ServesUDP and ServesTCP report whether a server has a listener of that kind.

func (c *Connection) ServesUDP() bool {
	return slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Proto.IsUDP() })
}

func (c *Connection) ServesTCP() bool {
	return slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Proto.IsTCPServer() })
}

// frameOverhead is the most that a packet may have around the bytes of the device.
const frameOverhead = 168

// MaxFrame is the largest packet taken from a TCP connection, in bytes. It has room for the largest MTU that may be pushed
// and for control packets.
//
// Rule: docs/protocol.md#11-transport-encapsulation: stock's own figures.
func (c *Connection) MaxFrame() int {
	return max(c.TunMTUMax+c.TunMTUExtra, c.MaxPacketSize) + frameOverhead
}

// HTTPProxy is an HTTP proxy for TCP.
type HTTPProxy struct {
	Host, Port  string
	Auth        string // "none", "basic", "digest", "ntlm" or "ntlm2"
	AuthFile    string // file of two lines; "stdin"; empty
	AuthAuto    bool   // ask when the proxy demands it
	AuthAutoNCT bool   // as AuthAuto, but never basic
	UserPass    Source // http-proxy-user-pass
	Version     string // default "1.0"
	Agent       string
	Headers     [][2]string // at most 10
}

// SOCKSProxy is a SOCKS5 proxy.
type SOCKSProxy struct {
	Host, Port string // port default 1080
	AuthFile   string // file of two lines; "stdin"; empty
}

// Server are the options of servers.
type Server struct {
	ModeServer bool // mode server

	Push                []string // texts for clients, macro entries last
	IfconfigPool        IfconfigPool
	IfconfigIPv6Pool    IfconfigIPv6 // Local is base and bits
	PoolPersist         string
	PoolPersistInterval time.Duration // default 600 s; 0 reads only
	PushConstraint      IfconfigConstraint

	ClientConfigDir     string
	CCDExclusive        bool
	ClientToClient      bool
	DuplicateCN         bool
	MaxClients          int // default 1024
	MaxRoutesPerClient  int // default 256
	StaleRoutesAge      time.Duration
	StaleRoutesInterval time.Duration
	TCPQueueLimit       int // packets, default 64
	ConnectFreq         Rate
	ConnectFreqInitial  Rate // default 100 per 10 s
	PortShare           PortShare

	AuthGenToken              bool
	AuthTokenLifetime         time.Duration // 0 no limit
	AuthTokenRenewal          time.Duration // default RenegSec
	AuthTokenExternal         bool          // external-auth
	AuthTokenSecret           Source
	AuthUserPassOptional      bool
	UsernameAsCommonName      bool
	VerifyClientCert          string // "require" (default), "optional" or "none"
	OptVerify                 bool
	ForceTLSKeyMaterialExport bool

	VLANTagging bool
	VLANAccept  string // "all" (default), "tagged" or "untagged"
	VLANPVID    int    // default 1
}

// Client are the options of clients.
type Client struct {
	Pull                  bool
	PullFilters           []PullFilter
	AuthUserPass          AuthUserPass
	AuthRetry             string // "none", "nointeract" or "interact"; empty when not given, which is "none" at start
	AuthNocache           bool
	AskPass               Source // private key passphrase; file, "stdin"
	AskPassAsk            bool   // askpass without a file
	StaticChallenge       string
	StaticChallengeEcho   bool
	StaticChallengeConcat bool
	PushPeerInfo          bool
}

// AsksPassphrase reports whether the private key's passphrase is asked for at the start.
func (c *Client) AsksPassphrase() bool { return c.AskPass.Set() || c.AskPassAsk }

// AuthUserPass is where the client's name and password come from.
type AuthUserPass struct {
	Enabled      bool
	Ask          bool   // no source: ask at the port or the terminal
	Source       Source // file or block of two lines; a missing second line is asked for
	UsernameOnly bool
}

// TLS are the options of the TLS session and of certificates.
type TLS struct {
	TLSClient, TLSServer bool

	CA                     Source
	CAPath                 string
	Cert, Key              Source
	ExtraCerts             Source
	PKCS12                 Source // a file holds DER, a block base64
	PKCS11                 PKCS11
	DH                     Source // Path "none": no file
	CRL                    Source
	CRLDir                 bool   // CRL.Path is a folder of serial numbers
	TLSVersionMin          string // "1.0" to "1.3", default "1.2"
	TLSVersionMinOrHighest bool
	TLSVersionMax          string // empty: the library's
	TLSCipher              string
	TLSCiphersuites        string
	TLSGroups              string
	TLSCertProfile         string // default "legacy"

	TLSTimeout    time.Duration // first retransmission, default 2 s
	RenegSec      time.Duration // default 3600 s; 0 never on our account
	RenegSecMin   time.Duration // servers: lower bound, default 90 % of RenegSec
	RenegBytes    int64         // 0 never; -1 the cipher's default
	RenegPackets  int64         // 0 never
	HandWindow    time.Duration // default 60 s
	TranWindow    time.Duration // default 3600 s
	SingleSession bool
	TLSExit       bool
	TLSExportCert string // folder

	VerifyX509Name       string
	VerifyX509Type       string   // "subject" (default), "name" or "name-prefix"
	RemoteCertTLS        string   // "client", "server" or empty; already spelled out in RemoteCertKURequired and RemoteCertEKU
	RemoteCertKU         []uint16 // any of these sets of bits is enough
	RemoteCertKURequired bool     // remote-cert-ku without values: some key usage must be there
	RemoteCertEKU        string
	NSCertType           string
	VerifyHash           [][]byte // level-1 certificate, SHA-1 or SHA-256 digests, one of which has to be its own
	PeerFingerprint      [][]byte // SHA-256 digests of acceptable peers
	X509Track            []string
	X509UsernameFields   []string // default CN
	ExporterLabel        string   // keying-material-exporter
	ExporterLength       int      // bytes
	TLSCryptV2MaxAge     time.Duration
}

// Crypto are the options of the data channel.
type Crypto struct {
	Cipher              string // default BF-CBC where it matters
	LegacyCiphers       bool   // providers names the legacy one of OpenSSL
	CipherDefined       bool
	DataCiphers         []string // best first
	DataCiphersFallback string
	Auth                string        // digest, default SHA1
	Secret              Source        // static key mode
	ReplayWindow        int           // packets, default 64; 0 off
	ReplayTime          time.Duration // default 15 s
	NoReplay            bool
	MuteReplayWarnings  bool
	ReplayPersist       string
}

// Compression is about framing; we never compress what we send.
type Compression struct {
	AllowCompression string // "no" (default), "asym" or "yes"
	Framing          Framing
	Compressed       bool // packets of the peer may be compressed: not with comp-lzo no, or a stub
}

// Management is the management port.
type Management struct {
	ManagementListen []ManagementAddr // more than one is an extension of ours

	ManagementClient           bool // connect instead of listening
	ManagementClientUser       string
	ManagementClientGroup      string
	ManagementQueryPasswords   bool
	ManagementQueryRemote      bool
	ManagementQueryProxy       bool
	ManagementQueryToken       bool // ask for a key file that is not there yet; an extension of ours
	ManagementHold             bool
	ManagementSignal           bool
	ManagementForgetDisconnect bool
	ManagementUpDown           bool
	ManagementClientAuth       bool
	ManagementExternalKey      bool
	ManagementExternalKeyFlags []string // nopadding pkcs1 pss digest; "pkcs1" when none was given
	ManagementExternalCert     string   // hint; empty: off
	ManagementLogCache         int      // lines, default 250

	Journal    Journal     // an extension of ours
	Metrics    Metrics     // an extension of ours
	Fleet      Fleet       // an extension of ours
	LuaScripts []LuaScript // each speaks to the port over a connection of its own; an extension of ours
}

// ManagementAddr is one listener.
type ManagementAddr struct {
	Host, Port string // Host "tunnel" listens on the tunnel address
	Unix       string // path of a socket; Host and Port are empty
	Password   Source // first line; Path "stdin" asks

	Cert, Key     Source    // PEM files; TLS when set
	ClientCA      Source    // PEM file; only clients with a certificate of it are let in
	Role          mgmt.Role // of those who give Password, or of all seats without passwords; 0 is admin
	RolePasswords []RolePassword
}

// RolePassword is a further password of a listener; its first line counts.
type RolePassword struct {
	Role   mgmt.Role
	Source Source
}

// Pulled holds what only a server tells.
type Pulled struct {
	PeerID           int // -1: none
	AuthToken        string
	AuthTokenUser    string // decoded
	KeyDerivationEKM bool   // key-derivation or protocol-flags tls-ekm
	CCExit           bool
	DynamicTLSCrypt  bool
	AEADEpoch        bool
	TunMTUPushed     bool // the profile's TunMTU comes from the server
}

// Tool is a task that is done instead of a tunnel.
type Tool struct {
	Name string   // "genkey", "show-ciphers", "mktun", "rmtun", "test-crypto", "version", "help"; empty: a tunnel
	Args []string // parameters of the option
}

// Clone returns a copy that shares no memory ApplyPushed may write to.
func (o *Options) Clone() *Options {
	c := *o
	c.Env = slices.Clone(o.Env)
	c.Echo = slices.Clone(o.Echo)
	c.ClientNAT = slices.Clone(o.ClientNAT)
	c.Routes = slices.Clone(o.Routes)
	c.RoutesIPv6 = slices.Clone(o.RoutesIPv6)
	c.ForeignOptions = slices.Clone(o.ForeignOptions)
	c.DNSSearchDomains = slices.Clone(o.DNSSearchDomains)
	c.DNSServers = slices.Clone(o.DNSServers)
	for i, s := range c.DNSServers {
		c.DNSServers[i].Addresses = slices.Clone(s.Addresses)
		c.DNSServers[i].ResolveDomains = slices.Clone(s.ResolveDomains)
	}
	c.Connections = slices.Clone(o.Connections)
	c.Push = slices.Clone(o.Push)
	c.DataCiphers = slices.Clone(o.DataCiphers)
	c.X509Track = slices.Clone(o.X509Track)
	c.Notes, c.Warnings = slices.Clone(o.Notes), slices.Clone(o.Warnings)
	return &c
}
