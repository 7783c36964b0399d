package daemon

import (
	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

// openPlugins loads the plugins of the options and opens those that want to be open before the tunnel is, for the engine
// that runner is for. A server opens the others when it is up, as stock does; a client hears of its tunnel by then.
func (p *process) openPlugins(runner *hooks.Runner) error {
	if len(p.opts.Plugins) == 0 {
		p.closeHelper()
		return nil
	}
	specs := pluginSpecs(p.opts)
	if p.plugins.Same(specs) {
		if err := p.plugins.Restart(); err != nil {
			return err
		}
	} else {
		p.closeHelper()
		set, err := plugin.Start(plugin.Config{
			Plugins: specs, Version: compatible, Env: p.environment().Newest(), UID: p.privileges.uid, GID: p.privileges.gid,
			Chroot: p.privileges.chroot, Stdout: runner.Stdout, Stderr: runner.Stderr,
			Log: p.lg.Msg,
		})
		if err != nil {
			return err
		}
		p.plugins = set
	}
	runner.Plugins = p.plugins
	point := uint32(plugin.AfterTunnel)
	if p.opts.ModeServer {
		point = plugin.BeforeTunnel
	}
	return p.plugins.Open(point)
}

func pluginSpecs(o *config.Options) []plugin.Spec {
	specs := make([]plugin.Spec, len(o.Plugins))
	for n, line := range o.Plugins {
		specs[n] = plugin.Spec{Name: line.Name, Args: line.Args}
	}
	return specs
}

// closeHelper ends the helper, with plugins that are still open.
func (p *process) closeHelper() {
	p.plugins.Close()
	p.plugins = nil
}
