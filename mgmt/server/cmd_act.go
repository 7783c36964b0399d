package server

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
)

func (c *call) authRetry() {
	ctl := c.s.cfg.Controller
	if len(c.args) == 0 {
		c.reply("SUCCESS: auth-retry=" + ctl.AuthRetry())
		return
	}
	switch c.args[0] {
	case mgmt.AuthRetryNone, mgmt.AuthRetryInteract, mgmt.AuthRetryNoInteract:
		ctl.SetAuthRetry(c.args[0])
		c.reply("SUCCESS: auth-retry parameter changed")
	default: // two lines, the first without a prefix: clients know it so
		c.reply("--auth-retry method must be 'interact', 'nointeract', or 'none'\r\nERROR: bad auth-retry parameter")
	}
}

func (c *call) forget() {
	c.s.cfg.Controller.ForgetPasswords()
	c.reply("SUCCESS: Passwords were forgotten")
}

func (c *call) verb() {
	ctl := c.s.cfg.Controller
	if len(c.args) == 0 {
		c.reply("SUCCESS: verb=" + strconv.Itoa(ctl.Verb()))
		return
	}
	n := number(c.args[0])
	if n < 0 || n > maxVerb {
		c.reply("ERROR: verb level is out of range")
		return
	}
	ctl.SetVerb(n)
	c.reply("SUCCESS: verb level changed")
}

const maxVerb = 15

func (c *call) mute() {
	ctl := c.s.cfg.Controller
	if len(c.args) == 0 {
		c.reply("SUCCESS: mute=" + strconv.Itoa(ctl.Mute()))
		return
	}
	n := number(c.args[0])
	if n < 0 {
		c.reply("ERROR: mute level is out of range")
		return
	}
	ctl.SetMute(n)
	c.reply("SUCCESS: mute level changed")
}

func (c *call) holdFlag() {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	word := ""
	if len(c.args) > 0 {
		word = c.args[0]
	}
	switch {
	case len(c.args) == 0 && s.hold:
		c.reply("SUCCESS: hold=1")
	case len(c.args) == 0:
		c.reply("SUCCESS: hold=0")
	case word == "on":
		s.hold = true
		c.reply("SUCCESS: hold flag set to ON")
	case word == "off":
		s.hold = false
		c.reply("SUCCESS: hold flag set to OFF")
	case word == "release":
		c.reply("SUCCESS: hold release succeeded")
		if p := s.pending(askHold); p != nil {
			s.settle(p, c.seat, nil)
		}
	default:
		c.reply("ERROR: bad hold command parameter")
	}
}

func (c *call) signal() {
	ctl, name := c.s.cfg.Controller, c.args[0]
	if !slices.Contains(mgmt.Signals(), name) {
		c.reply("ERROR: signal '" + name + "' is not a known signal type")
		return
	}
	effective := ctl.EffectiveSignal(name)
	if effective == mgmt.SIGUSR1 || effective == mgmt.SIGHUP {
		c.s.mu.Lock()
		held := c.s.pending(askHold)
		if held != nil {
			c.reply("ERROR: signal '" + name + "' is currently ignored")
			c.s.push(c.seat, essential, held.line(c.seat))
		}
		c.s.mu.Unlock()
		if held != nil {
			return
		}
	}
	c.reply("SUCCESS: signal " + effective + " thrown") // before what it causes
	ctl.Signal(name, "")
}

// kill removes clients by common name or real address. Stock's syntax has no place for IPv6; an address in brackets is
// ours.
func (c *call) kill() {
	ctl := c.server()
	if ctl == nil {
		return
	}
	arg := c.args[0]
	if strings.HasPrefix(arg, "[") {
		if a, err := netip.ParseAddrPort(arg); err == nil {
			c.killAddr(ctl, a, "", a.String())
			return
		}
	}
	parts := strings.Split(arg, ":")
	if c.s.protocol() >= 6 {
		if len(parts) >= 3 && parts[0] != "" && parts[1] != "" && parts[2] != "" {
			c.killProto(ctl, parts)
			return
		}
		parts = parts[:1]
	}
	switch {
	case parts[0] == "":
		c.reply("ERROR: kill parse")
	case len(parts) == 1 || parts[1] == "":
		if n := ctl.KillName(parts[0]); n > 0 {
			c.reply("SUCCESS: common name '" + parts[0] + "' found, " + strconv.Itoa(n) + " client(s) killed")
		} else {
			c.reply("ERROR: common name '" + parts[0] + "' not found")
		}
	default:
		ip, ok := aton(parts[0])
		if !ok {
			c.reply("ERROR: error parsing IP address: " + parts[0])
			return
		}
		port := number(parts[1])
		if port < 1 || port > 65535 {
			c.reply("ERROR: port number is out of range: " + parts[1])
			return
		}
		at := netip.AddrPortFrom(ip, uint16(port))
		c.killAddr(ctl, at, "", at.String())
	}
}

// aton reads an IPv4 address as inet_aton does: one to four numbers, decimal, octal behind 0, hexadecimal behind 0x, of
// which the last fills all bytes that are left.
func aton(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var addr uint64
	for i, p := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		n, err := strconv.ParseUint(p, 0, bits)
		if err != nil || strings.ContainsAny(p, "_oObB") && !strings.HasPrefix(strings.ToLower(p), "0x") {
			return netip.Addr{}, false
		}
		addr = addr<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}), true
}

// killProto is kill of management version 6: proto:address:port.
func (c *call) killProto(ctl ServerController, parts []string) {
	protos := map[string]string{"udp": "udp", "tcp": "tcp-server"}
	proto, port := protos[parts[0]], number(parts[2])
	ip, ok := aton(parts[1])
	if !ok {
		c.reply("ERROR: error parsing IP address: " + parts[1])
		return
	}
	if proto == "" || port < 1 || port > 65535 {
		c.reply("ERROR: port number or protocol out of range: " + parts[2] + " " + parts[0])
		return
	}
	c.killAddr(ctl, netip.AddrPortFrom(ip, uint16(port)), parts[0], proto+":"+parts[1]+":"+strconv.Itoa(port))
}

func (c *call) killAddr(ctl ServerController, a netip.AddrPort, proto, text string) {
	if n := ctl.KillAddr(a, proto); n > 0 {
		c.reply("SUCCESS: " + strconv.Itoa(n) + " client(s) at address " + text + " killed")
	} else {
		c.reply("ERROR: client at address " + text + " not found")
	}
}
