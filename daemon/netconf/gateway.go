package netconf

import (
	"fmt"
	"net"
)

// Line prints an IPv4 gateway as show-gateway and the log do:
// "ROUTE_GATEWAY 10.99.0.1/255.255.255.0 IFACE=eth0 HWADDR=52:bc:d0:10:c5:f4".
func (g Gateway) Line() string {
	if g.Dev == "" {
		return "ROUTE_GATEWAY 0.0.0.0"
	}
	addr := "ON_LINK"
	if g.Addr.IsValid() && !g.Addr.IsUnspecified() {
		addr = g.Addr.String()
		if g.Prefix.Contains(g.Addr) {
			addr += "/" + netmask(g.Prefix.Bits())
		}
	}
	mac := g.MAC
	if len(mac) != 6 {
		mac = make(net.HardwareAddr, 6)
	}
	return fmt.Sprintf("ROUTE_GATEWAY %s IFACE=%s HWADDR=%s", addr, g.Dev, mac)
}

// netmask writes an IPv4 prefix length as a mask: 24 is 255.255.255.0.
func netmask(bits int) string {
	return net.IP(net.CIDRMask(bits, 32)).String()
}
