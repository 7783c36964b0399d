package data

// LimitMode says which packet the number of mssfix or fragment bounds.
type LimitMode uint8

// Modes of a limit.
const (
	LimitPayload LimitMode = iota // the UDP payload or TCP frame (no keyword)
	LimitMTU                      // the outer IP packet ("mtu")
	LimitFixed                    // the inner IP packet ("fixed", mssfix only)
)

// Limit is the value of mssfix or fragment in bytes; 0 is off.
type Limit struct {
	Bytes int
	Mode  LimitMode
}

// Outer describes the transport below the data channel.
type Outer struct{ IPv6, TCP, SOCKS bool }

// header is the size of the outer headers in bytes.
func (o Outer) header() int {
	n := 20
	if o.IPv6 {
		n = 40
	}
	if o.TCP {
		return n + 20
	}
	return n + 8
}

// room is the largest plaintext, in bytes behind the packet id, of a packet that keeps the limit.
func (c *Channel) room(l Limit, o Outer) int {
	n := l.Bytes
	if l.Mode == LimitMTU {
		n -= o.header()
	}
	switch {
	case o.TCP:
		n -= 2 // length prefix
	case o.SOCKS:
		n -= 10
	}
	if c.suite.Mode != CBC {
		return n - c.codecOverhead()
	}
	bs := c.suite.BlockSize
	n -= c.codecOverhead() - bs - idSize(c.static) // header, HMAC, IV
	return n/bs*bs - 1 - idSize(c.static)
}

// MSSLimitOf is the value for Params.MSSLimit: the largest MSS inside IPv4 so that a tunnel packet keeps the limit l.
// It is 0 (off) for a zero limit, and never negative. p says everything about the packets; its MSSLimit is not read,
// its Fragment only as on or off.
//
// Example: AES-256-GCM, V2, UDP over IPv4, {1492, LimitMTU}: 1400.
func MSSLimitOf(p Params, l Limit, o Outer) (int, error) {
	if l.Bytes == 0 {
		return 0, nil
	}
	const inner = 40 // IPv4 and TCP headers inside
	if l.Mode == LimitFixed {
		return max(l.Bytes-inner, 0), nil
	}
	p.Fragment = min(p.Fragment, minFragment)
	c, err := New(p)
	if err != nil {
		return 0, err
	}
	n := c.room(l, o) - inner
	if p.Framing == FramingLZO || p.Framing == FramingStub {
		n-- // the v2 framings add nothing to IP packets
	}
	if p.Fragment > 0 {
		n -= fragHeader
	}
	if p.TAP {
		n -= 14
	}
	return max(n, 0), nil
}

// FragmentSizeOf is the value for Params.Fragment of the option fragment. It is 0 for a zero limit and at least the
// smallest size that works.
func FragmentSizeOf(p Params, l Limit, o Outer) (int, error) {
	if l.Bytes == 0 {
		return 0, nil
	}
	p.Fragment = 0
	c, err := New(p)
	if err != nil {
		return 0, err
	}
	return max((c.room(l, o)-fragHeader)&^3, minFragment), nil
}
