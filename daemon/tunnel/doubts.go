package tunnel

import (
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

const nowarn = " (silence this warning with --ifconfig-nowarn)"

// doubtAddresses warns of addresses of the tunnel that most likely do not work, in stock's words: a netmask where an address is meant or the
// other way round, and networks that this host's or the server's outer address is in.
func (t *Tunnel) doubtAddresses(local, remote netip.Addr) {
	o := t.cfg.Options
	if o.IfconfigNowarn {
		return
	}
	mask, tap := remote.As4()[0] == 255, o.DevType == config.DevTap
	switch {
	case tap && !mask:
		t.cfg.Log(logging.Warn, "WARNING: Since you are using --dev tap, the second argument to --ifconfig must be a netmask, for example something like 255.255.255.0."+nowarn)
	case !tap && o.DevType == config.DevTun && o.Topology != config.TopologySubnet && mask:
		t.cfg.Log(logging.Warn, "WARNING: Since you are using --dev tun with a point-to-point topology, the second argument to --ifconfig must be an IP address.  You are using something (%s) that looks more like a netmask."+nowarn, remote)
	}
	outer, _ := netip.ParseAddr(t.cfg.Profile.Local)
	for _, end := range []struct {
		option string
		addr   netip.Addr
	}{{"local", outer}, {"remote", t.cfg.Server}} {
		switch {
		case !end.addr.Is4():
		case tap && masked(end.addr, remote) == masked(local, remote):
			t.cfg.Log(logging.Warn, "WARNING: --%s address [%s] conflicts with --ifconfig subnet [%s, %s] -- local and remote addresses cannot be inside of the --ifconfig subnet."+nowarn,
				end.option, end.addr, local, remote)
		case !tap && (within24(end.addr, local) || within24(end.addr, remote)):
			t.cfg.Log(logging.Warn, "WARNING: potential conflict between --%s address [%s] and --ifconfig address pair [%s, %s] -- "+
				"this is a warning only that is triggered when local/remote addresses exist within the same /24 subnet as --ifconfig endpoints."+nowarn,
				end.option, end.addr, local, remote)
		}
	}
}

// masked is an address without the bits that a mask leaves free.
func masked(addr, mask netip.Addr) [4]byte {
	a, m := addr.As4(), mask.As4()
	for i := range a {
		a[i] &= m[i]
	}
	return a
}

func within24(a, b netip.Addr) bool {
	return netip.PrefixFrom(a, 24).Masked() == netip.PrefixFrom(b, 24).Masked()
}
