package config

import (
	"slices"
	"time"
)

// before reports whether v is a version, and older than this one.
func (v Version) before(major, minor, patch int) bool {
	return v != Version{} && slices.Compare([]int{v.Major, v.Minor, v.Patch}, []int{major, minor, patch}) < 0
}

// pullPingRestart is ping-restart of a client that pulls over UDP, unless its file or its server says otherwise.
const pullPingRestart = 120 * time.Second

// keepalives applies the default of ping-restart.
func (p *parser) keepalives() error {
	if o := p.o; o.Pull && !o.state.pingRestartSet && o.Connections[0].Proto.IsUDP() {
		o.PingRestart = pullPingRestart
	}
	return nil
}

// compatibility applies the remaining defaults that depend on compat-mode and on other options.
func (p *parser) compatibility() error {
	o := p.o
	if o.TLSVersionMin == "" {
		o.TLSVersionMin = "1.2"
		if o.CompatMode.before(2, 3, 7) {
			o.TLSVersionMin = "1.0"
		}
		if o.TLSVersionMax != "" && o.TLSVersionMax < o.TLSVersionMin {
			o.TLSVersionMin = o.TLSVersionMax
		}
	} else if o.TLSVersionMax != "" && o.TLSVersionMin > o.TLSVersionMax {
		return errorf("--tls-version-min bigger than --tls-version-max")
	}
	switch {
	case o.state.allowCompression && o.AllowCompression == "no" && o.Compressed:
		return errorf("'--allow-compression no' conflicts with  enabling compression")
	case o.state.allowCompression:
	case o.CompatMode.before(2, 6, 0), o.Framing != FramingNone && o.Framing != FramingMigrate:
		o.AllowCompression = "asym"
	}
	if o.Pull {
		o.UpDelay = true
	}
	if o.RenegSecMin == 0 {
		o.RenegSecMin = o.RenegSec * 9 / 10
	}
	if o.RenegSecMin > o.RenegSec {
		o.RenegSecMin = o.RenegSec
	}
	if o.AuthGenToken && !o.state.tokenRenewal {
		o.AuthTokenRenewal = o.RenegSec
	}
	o.completeFleet()
	return nil
}
