package daemon

import (
	"cmp"
	"fmt"
	"os"
	"strconv"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
)

// environment is the base of what scripts see: what the options say, in stock's order, which the port shows.
func (p *process) environment(o *config.Options) *hooks.Env {
	e := hooks.NewEnv()
	for _, v := range o.Env {
		e.Set(v.Name, v.Value)
	}
	flag := map[bool]string{false: "0", true: "1"}
	if o.Config != "" {
		e.Set("config", o.Config)
	}
	e.Set("verb", strconv.Itoa(o.Verb))
	e.Set("daemon", flag[o.Daemon])
	e.Set("daemon_log_redirect", flag[p.lg.File() != nil])
	e.Set("daemon_start_time", strconv.FormatInt(p.started.Unix(), 10))
	e.Set("daemon_pid", strconv.Itoa(os.Getpid()))
	for i, c := range o.Connections {
		set := func(name, value string) {
			if value != "" {
				e.Set(fmt.Sprintf("%s_%d", name, i+1), value)
			}
		}
		if !o.Compat.EnvByListener() {
			set("proto", string(c.Proto))
			set("local", c.Local)
			if c.Bind {
				set("local_port", c.LocalPort)
			}
		}
		set("remote", c.Remote)
		set("remote_port", c.RemotePort)
		if h := c.HTTPProxy; h != nil {
			set("http_proxy_server", h.Host)
			set("http_proxy_port", h.Port)
		}
		if s := c.SOCKSProxy; s != nil {
			set("socks_proxy_server", s.Host)
			set("socks_proxy_port", s.Port)
		}
	}
	n, told := listeners(o)
	for _, l := range told {
		e.Set(fmt.Sprintf("proto_%d", n), string(l.Proto))
		if l.Host != "" {
			e.Set(fmt.Sprintf("local_%d", n), l.Host)
		}
		e.Set(fmt.Sprintf("local_port_%d", n), l.Port)
		n++
	}
	return e.Reversed()
}

// listeners are those that scripts hear of besides the profiles: with the face of 2.7 all of them, of which a client has one for
// its first remote; with that of 2.6, which knows one, the further ones. number is that of the first.
func listeners(o *config.Options) (number int, list []config.Listener) {
	first := &o.Connections[0]
	switch {
	case !o.Compat.EnvByListener():
		return 2, first.Listeners[min(1, len(first.Listeners)):]
	case len(first.Listeners) > 0:
		return 1, first.Listeners
	}
	return 1, []config.Listener{{Host: first.Local, Port: cmp.Or(first.LocalPort, "1194"), Proto: first.Proto}}
}
