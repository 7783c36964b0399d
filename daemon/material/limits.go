package material

import (
	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
)

// SetLimits works out fragment and mssfix of a profile for packets as p describes them.
func SetLimits(p *data.Params, prof *config.Connection, outer data.Outer) (err error) {
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
