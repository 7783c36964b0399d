package config

import (
	"net/netip"
	"slices"
	"time"
)

// parseState holds what is known between reading and checking.
type parseState struct {
	ce      Connection // values outside of blocks, so far
	remotes []remote
	blocks  []Connection

	ignoreUnknown     []string
	forwardCompatible bool
	configStdin       bool

	client     bool
	server     *serverMacro
	serverIPv6 netip.Prefix
	bridge     *bridgeMacro
	keepalive  *keepalive
	tcpNodelay bool
	fastIO     bool

	pingRestartSet   bool
	allowCompression bool // given
	tokenRenewal     bool
	vlanAccept       bool
	vlanPVID         bool
	proxyOverride    []string
	onlyServer       []string // shown names of options that need server mode, in order
}

// connSet says which options a profile has of its own.
type connSet struct {
	remotes                   int
	lport, bind, nobind, wrap bool
	locals                    []Listener // of the local options, what they leave out empty
	mssfix, mssfixDefault     bool
	tunMTUExtra               bool
}

type keepalive struct{ ping, timeout int }

func (s *parseState) serverOnly(shown string) {
	if !slices.Contains(s.onlyServer, shown) {
		s.onlyServer = append(s.onlyServer, shown)
	}
}

// defaults are the options before anything was read.
func defaults(getenv func(string) string) *Options {
	o := &Options{}
	o.Verb = 1
	o.Ident = "openvpn"
	o.StatusInterval, o.StatusVersion = 60*time.Second, 1
	if o.TmpDir = getenv("TMPDIR"); o.TmpDir == "" {
		o.TmpDir = "/tmp"
	}
	o.ScriptSecurity = 1
	o.DevNode = "/dev/net/tun"
	o.RouteDelayWindow = defaultRouteWindow
	o.ResolvRetry = resolvInfinite
	o.PoolPersistInterval = defaultPoolInterval
	o.MaxClients, o.MaxRoutesPerClient, o.TCPQueueLimit = 1024, 256, 64
	o.ConnectFreqInitial = Rate{100, 10 * time.Second}
	o.VerifyClientCert = "require"
	o.VLANAccept, o.VLANPVID = "all", 1
	o.TLSCertProfile = "legacy"
	o.TLSTimeout, o.RenegSec, o.RenegBytes = 2*time.Second, 3600*time.Second, -1
	o.HandWindow, o.TranWindow = 60*time.Second, 3600*time.Second
	o.VerifyX509Type = "subject"
	o.X509UsernameFields = []string{"CN"}
	o.Auth = "SHA1"
	o.ReplayWindow, o.ReplayTime = 64, 15*time.Second
	o.AllowCompression = "no"
	o.ManagementLogCache = 250
	o.PeerID = -1
	o.state.ce = Connection{
		Proto: ProtoUDP, RemotePort: "1194", LocalPort: "1194",
		ConnectRetry: time.Second, ConnectRetryMax: 300 * time.Second, ConnectTimeout: 120 * time.Second,
		TunMTU: 1500, MaxPacketSize: 1250,
		KeyDirection: KeyBidirectional,
	}
	return o
}
