package daemon

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
)

// environment is the base of what scripts see: what the options say, in stock's order, which the port shows.
func (p *process) environment(o *config.Options) *hooks.Env {
	e := hooks.NewEnv()
	for _, v := range o.Env {
		if !strings.HasPrefix(v.Name, "IV_") {
			e.Set(v.Name, v.Value)
		}
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
		set("proto", string(c.Proto))
		set("local", c.Local)
		if c.Bind {
			set("local_port", c.LocalPort)
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
	return e.Reversed()
}
