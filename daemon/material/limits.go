package material

import (
	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
)

// Packets completes the parameters of a data channel: what options say about the packets of all peers alike. f and compression
// (allow-compression) are those of the peer.
func Packets(p *data.Params, o *config.Options, prof *config.Connection, f data.Framing, compression string, outer data.Outer) (err error) {
	p.Auth, p.TAP, p.Framing = o.Auth, o.DevType == config.DevTap, f
	p.Decompress = compression == "asym" || compression == "yes"
	p.ReplayWindow, p.ReplayTime, p.NoReplay = o.ReplayWindow, o.ReplayTime, o.NoReplay
	if p.Fragment, err = data.FragmentSizeOf(*p, limit(prof.Fragment, prof.FragmentEncap, false), outer); err != nil {
		return err
	}
	p.MSSLimit, err = data.MSSLimitOf(*p, limit(prof.MSSFix, prof.MSSFixEncap, prof.MSSFixFixed), outer)
	return err
}

func limit(bytes int, encap, fixed bool) data.Limit {
	l := data.Limit{Bytes: bytes}
	switch {
	case fixed:
		l.Mode = data.LimitFixed
	case encap:
		l.Mode = data.LimitMTU
	}
	return l
}

// Framing is the compression framing that an option asks for; that of migrate depends on the client.
func Framing(f config.Framing) data.Framing {
	switch f {
	case config.FramingLZO:
		return data.FramingLZO
	case config.FramingStub:
		return data.FramingStub
	case config.FramingLZ4:
		return data.FramingLZ4
	case config.FramingStubV2:
		return data.FramingStubV2
	case config.FramingLZ4v2:
		return data.FramingLZ4V2
	default:
		return data.FramingNone
	}
}
