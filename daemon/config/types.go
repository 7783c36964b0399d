package config

import (
	"net/netip"
	"strings"
	"time"
)

// Proto is a transport protocol as the proto option spells it.
type Proto string

// Protocols. The families are those of the outer addresses; a name without number takes both.
const (
	ProtoUDP        Proto = "udp"
	ProtoTCP        Proto = "tcp" // before it is known to be one of the next two
	ProtoTCPClient  Proto = "tcp-client"
	ProtoTCPServer  Proto = "tcp-server"
	ProtoUDP4       Proto = "udp4"
	ProtoTCP4       Proto = "tcp4"
	ProtoTCP4Client Proto = "tcp4-client"
	ProtoTCP4Server Proto = "tcp4-server"
	ProtoUDP6       Proto = "udp6"
	ProtoTCP6       Proto = "tcp6"
	ProtoTCP6Client Proto = "tcp6-client"
	ProtoTCP6Server Proto = "tcp6-server"
)

// protos in the order error messages list them.
var protos = []Proto{
	ProtoUDP, ProtoTCPServer, ProtoTCPClient, ProtoTCP, ProtoUDP4, ProtoTCP4Server, ProtoTCP4Client, ProtoTCP4,
	ProtoUDP6, ProtoTCP6Server, ProtoTCP6Client, ProtoTCP6,
}

// IsUDP reports whether packets are datagrams.
func (p Proto) IsUDP() bool { return strings.HasPrefix(string(p), "udp") }

// IsTCP reports whether packets are frames of a stream.
func (p Proto) IsTCP() bool { return strings.HasPrefix(string(p), "tcp") }

// IsTCPServer reports whether this end listens for streams.
func (p Proto) IsTCPServer() bool { return p.IsTCP() && strings.HasSuffix(string(p), "-server") }

// IsTCPClient reports whether this end opens the stream.
func (p Proto) IsTCPClient() bool { return p.IsTCP() && strings.HasSuffix(string(p), "-client") }

// Family is 4, 6, or 0 for both.
func (p Proto) Family() int {
	switch {
	case strings.Contains(string(p), "4"):
		return 4
	case strings.Contains(string(p), "6"):
		return 6
	default:
		return 0
	}
}

// kind is the protocol without its address family.
func (p Proto) kind() Proto {
	return Proto(strings.NewReplacer("4", "", "6", "").Replace(string(p)))
}

// with returns p with the role suffix, "tcp4" becoming "tcp4-client".
func (p Proto) with(role string) Proto {
	if p == ProtoTCP || p == ProtoTCP4 || p == ProtoTCP6 {
		return p + "-" + Proto(role)
	}
	return p
}

// DevType is the kind of the tunnel device.
type DevType string

// Kinds of devices.
const (
	DevTun  DevType = "tun"
	DevTap  DevType = "tap"
	DevNull DevType = "null"
)

// Topology is the address model of a tun device.
type Topology string

// Topologies.
const (
	TopologyNet30  Topology = "net30"
	TopologyP2P    Topology = "p2p"
	TopologySubnet Topology = "subnet"
)

// KeyDirection tells which half of a static key this end sends with.
type KeyDirection int8

// Directions.
const (
	KeyBidirectional KeyDirection = -1
	KeyDirection0    KeyDirection = 0
	KeyDirection1    KeyDirection = 1
)

// Framing is the compression framing of data packets.
type Framing string

// Framings. All but FramingNone put bytes around packets even when nothing is compressed.
const (
	FramingNone    Framing = ""
	FramingLZO     Framing = "lzo"     // comp-lzo, compress lzo
	FramingLZ4     Framing = "lz4"     // compress lz4
	FramingLZ4v2   Framing = "lz4-v2"  // compress lz4-v2
	FramingStub    Framing = "stub"    // compress, compress stub
	FramingStubV2  Framing = "stub-v2" // compress stub-v2
	FramingMigrate Framing = "migrate" // servers: framing only for clients that ask for it
)

// Ifconfig is the pair of IPv4 tunnel addresses.
//
// With allow-pull-fqdn either may be a host name: the address is then invalid, the name set, and the engine resolves it.
type Ifconfig struct {
	Local  netip.Addr
	Remote netip.Addr // the other end, or the netmask with tap and topology subnet

	LocalName, RemoteName string
}

// Set reports whether there is a pair.
func (i Ifconfig) Set() bool { return i.Local.IsValid() || i.LocalName != "" }

// IfconfigIPv6 is an IPv6 address with its prefix length, host bits kept, and the other end.
type IfconfigIPv6 struct {
	Local  netip.Prefix
	Remote netip.Addr // may be invalid
}

// Set reports whether there is an address.
func (i IfconfigIPv6) Set() bool { return i.Local.IsValid() }

// IfconfigPool is the range of dynamic IPv4 addresses.
type IfconfigPool struct {
	Start, End netip.Addr
	Netmask    netip.Addr // invalid when not given
}

// Set reports whether there is a pool.
func (p IfconfigPool) Set() bool { return p.Start.IsValid() }

// IfconfigConstraint is the network pushed static addresses should lie in.
type IfconfigConstraint struct {
	Network, Netmask netip.Addr
}

// Set reports whether there is a constraint.
func (c IfconfigConstraint) Set() bool { return c.Network.IsValid() }

// Route is one IPv4 route as written: addresses, host names, vpn_gateway, net_gateway, remote_host, default.
type Route struct {
	Network string
	Netmask string // empty or "default": 255.255.255.255
	Gateway string // empty or "default": the vpn gateway
	Metric  int    // -1: not given
	Table   int    // 0 main
}

// RouteIPv6 is one IPv6 route.
type RouteIPv6 struct {
	Network netip.Prefix // host bits are cleared when it is added
	Gateway string       // empty or "default": the tunnel
	Metric  int          // -1: not given
	Table   int          // 0 main
}

// Redirect are the flags of redirect-gateway and redirect-private; several lines add up.
type Redirect struct {
	Enabled    bool // any such line was given
	Gateway    bool // redirect-gateway: move the default route too
	Local      bool
	AutoLocal  bool
	Def1       bool
	BypassDHCP bool
	BypassDNS  bool
	BlockLocal bool
	IPv6       bool
	NoIPv4     bool
}

// DNSAddress is an address of a resolver.
type DNSAddress struct {
	Addr netip.Addr
	Port uint16 // 0: not given
}

// ClientNAT rewrites addresses of a network one to one.
type ClientNAT struct {
	Source  bool // snat, else dnat
	Network netip.Addr
	Netmask netip.Addr
	Foreign netip.Addr
}

// Rate is a number of events per time. The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// PortShare is where a TCP server sends connections that are not OpenVPN.
type PortShare struct {
	Host, Port string
	Dir        string // folder for files that tell the origin; empty none
}

// PullFilter decides about pulled options by their beginning.
type PullFilter struct {
	Action string // "accept", "ignore" or "reject"
	Prefix string
}

// Compat is the release of OpenVPN whose port, status, log lines and defaults the daemon has, where they differ.
type Compat int

// The releases of option compat.
const (
	Compat26 Compat = iota
	Compat27
)

// Release is the version that tools read out of titles, and that servers are told.
func (c Compat) Release() string {
	if c == Compat27 {
		return "2.7.8"
	}
	return programVersion
}

// PortVersion is the version of the management port.
func (c Compat) PortVersion() int {
	if c == Compat27 {
		return 6
	}
	return 5
}

// AddressesNameProto reports whether a client's outer address says how the client came in: udp4:192.0.2.1:1194.
func (c Compat) AddressesNameProto() bool { return c == Compat27 }

// LogsKeyAgreement reports whether the log line of a control channel tells its key agreement and the peer's signature.
func (c Compat) LogsKeyAgreement() bool { return c == Compat27 }

// LogsDeviceTwice reports whether an opened device is logged by the system's layer, too.
func (c Compat) LogsDeviceTwice() bool { return c == Compat27 }

// PersistsKeys reports whether every configuration has persist-key.
func (c Compat) PersistsKeys() bool { return c == Compat27 }

// EnvByListener reports whether scripts see protocols and local addresses of listeners behind all remote ones.
func (c Compat) EnvByListener() bool { return c == Compat27 }

// TellsScriptsDNS reports whether scripts see the resolvers as dns_server_1_address_1 and so on, not dns-updown alone.
func (c Compat) TellsScriptsDNS() bool { return c == Compat26 }

// WarnsOfResolvers reports whether resolvers of a family that the tunnel does not have are logged.
func (c Compat) WarnsOfResolvers() bool { return c == Compat27 }

// DeviceInLog is the log's word for a device that is closed.
func (c Compat) DeviceInLog() string {
	if c == Compat27 {
		return "tun/tap"
	}
	return "TUN/TAP"
}

// LogsEpoch reports whether peers without a pull log if they use epoch keys.
func (c Compat) LogsEpoch() bool { return c == Compat27 }

// Device is the device of a configuration that names none, "" where one must be named.
func (c Compat) Device() string {
	if c == Compat27 {
		return "tun"
	}
	return ""
}

// ServerTopology is that of a server on a tun device that names none.
func (c Compat) ServerTopology() Topology {
	if c == Compat27 {
		return TopologySubnet
	}
	return TopologyNet30
}

// RefusesSecondLocal reports whether only a server may have several local lines, no two of them alike. The last one counts for clients of 2.6.
func (c Compat) RefusesSecondLocal() bool { return c == Compat27 }

// ServesWithoutDevice reports whether a server may have dev null: for tests of what is in front of the device.
func (c Compat) ServesWithoutDevice() bool { return c == Compat27 }

// UpcasesNames reports whether a field of x509-username-field in small letters is taken for one in capital letters.
func (c Compat) UpcasesNames() bool { return c == Compat26 }

// LogsWholeSubject reports whether a peer of another name than verify-x509-name asks for is logged by its subject, not by what was compared.
func (c Compat) LogsWholeSubject() bool { return c == Compat26 }

// LogsExitNotify reports whether a server tells its explicit-exit-notify among what it agreed on with a client.
func (c Compat) LogsExitNotify() bool { return c == Compat27 }

// TunMTUMaxInLog tells how the log of a server calls the option tun-mtu-max.
func (c Compat) TunMTUMaxInLog() string {
	if c == Compat27 {
		return "tun-mtu-max"
	}
	return "tun-max-mtu"
}

// BuiltinDNS reports whether the daemon sets the host's resolvers when the configuration has no up or dns-updown script.
func (c Compat) BuiltinDNS() bool { return c == Compat27 }
