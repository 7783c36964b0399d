package netconf

import "net/netip"

// Redirect holds the flags of redirect-gateway (or of redirect-private, with Private). Several lines OR together.
type Redirect struct {
	Enabled    bool // any redirect-gateway or redirect-private line was there
	Private    bool // no default route, only the helper routes
	Local      bool
	AutoLocal  bool
	Def1       bool
	BypassDHCP bool // no effect here
	BypassDNS  bool // no effect here
	BlockLocal bool
	IPv6       bool
	NoIPv4     bool
}

// RedirectInput is what PlanRedirect needs to know.
type RedirectInput struct {
	Flags  Redirect
	Server netip.Addr // outer address of the server, invalid when unknown
	// Gateway4 and Gateway6 are the default gateways before the tunnel; a zero one means there is none.
	Gateway4, Gateway6 Gateway
	// VPN4 is the gateway inside the tunnel (route-gateway or the peer's address).
	VPN4 netip.Addr
	// Dev is the tunnel device.
	Dev string
	// ServerOnLink tells that Server is in a network of this host without a router between (for AutoLocal).
	ServerOnLink bool
	// Routes6 are the other IPv6 routes into the tunnel: a server they cover needs a host route as well.
	Routes6 []netip.Prefix
}

// Op is one step of a plan.
type Op struct {
	Delete bool // delete the route, and add it again when the plan is undone
	Route  Route
}
