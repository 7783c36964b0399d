package daemon

import (
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

// plugins are those of the engine. The set is nil without any; it is owned by process.run.
type plugins struct{ *plugin.Set }

// load loads the plugins of the options and opens those that want to be open before the tunnel is, for the engine that runner
// is for. A server opens the others when it is up, as stock does; a client hears of its tunnel by then.
func (p *plugins) load(o *config.Options, env *hooks.Env, who *privileges, runner *hooks.Runner) error {
	if len(o.Plugins) == 0 {
		p.unload()
		return nil
	}
	specs := pluginSpecs(o)
	if p.Same(specs) {
		if err := p.Restart(); err != nil {
			return err
		}
	} else {
		p.unload()
		set, err := plugin.Start(plugin.Config{
			Plugins: specs, Version: o.Compat.Release(), Env: env.Newest(), UID: who.uid, GID: who.gid,
			Chroot: who.chroot, Stdout: runner.Stdout, Stderr: runner.Stderr,
			Log: runner.Log, Limit: time.Duration(hooks.OfPlugin),
		})
		if err != nil {
			return err
		}
		p.Set = set
	}
	runner.Plugins = p.Set
	point := uint32(plugin.AfterTunnel)
	if o.ModeServer {
		point = plugin.BeforeTunnel
	}
	if err := p.Open(point); err != nil {
		return err
	}
	if !o.ModeServer && !o.Secret.Set() && p.Wants(plugin.AuthUserPassVerify) {
		return errors.New("a plugin wants to verify user names and passwords (PLUGIN_AUTH_USER_PASS_VERIFY), which peers give to a server only (`mode server`): remove it")
	}
	return nil
}

func pluginSpecs(o *config.Options) []plugin.Spec {
	specs := make([]plugin.Spec, len(o.Plugins))
	for n, line := range o.Plugins {
		specs[n] = plugin.Spec{Name: line.Name, Args: line.Args}
	}
	return specs
}

// unload ends the helper, with plugins that are still open.
func (p *plugins) unload() {
	p.Close()
	p.Set = nil
}
