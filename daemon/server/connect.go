package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/message"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// The way of an accepted client to its tunnel:
//
//	authorise   older sessions of the name end           hub
//	lease       addresses from the pool, or the fleet    hub, or beside it
//	gather      ccd file, client-connect script          beside the hub, if there are any
//	address     fixed ones take the place of the lease   hub
//	learn       learn-address script                     beside the hub
//	establish   cipher, keys, routes, push               hub

// authorise starts the way of a client that all verifiers accepted.
func (h *hub) authorise(i *instance, now time.Time) {
	if i.challenges != nil && !h.supersede(i) {
		h.remove(i)
		return
	}
	if !h.set.DuplicateCN && i.commonName != "" { // without certificates no client has a name: they are not all the same
		h.endOthers(i)
	}
	if h.clients >= h.set.MaxClients { // another client took the last place meanwhile
		h.log(i, logging.Error, "MULTI: new incoming connection would exceed maximum number of clients (%d)", h.set.MaxClients)
		h.closeLater(i, session.SentAway, now)
		h.text(i, "RESTART", now)
		return
	}
	i.stage.Reach(session.Authorised)
	h.clients++
	h.publish()
	h.names.add(i)
	if h.deps.Fleet != nil {
		h.askFleet(i)
		return
	}
	if err := h.pool.take(i, h.set); err != nil {
		h.log(i, logging.Error, "MULTI: %v", err)
	}
	h.configure(i)
}

// configure collects the configuration of a client that has its address.
func (h *hub) configure(i *instance) {
	set, extra := h.set, i.logins.fromPort
	asks := set.wants(set.ClientConnect, plugin.ClientConnect|plugin.ClientConnectV2)
	if !asks && set.ClientConfigDir == "" && !set.shares(h.deps.Fleet, undef(i.commonName)) && len(extra) == 0 { // nothing that takes time
		cc := set.NewClientConfig()
		cc.Pin(set.Timers)
		h.gathered(i, cc, true, nil, time.Now())
		return
	}
	var env *hooks.Env
	if asks {
		env = h.env(i)
	}
	prefix, cn, client, present := i.prefix(), undef(i.commonName), i.context(), i.present
	h.inTurn(h.set.nameTurn(i), hooks.OfConnect(i.session.Patience()), func(ctx context.Context, a *aside) func(*hub) {
		if present.Err() != nil { // it went before its turn
			return nil
		}
		cc, ran, err := a.gather(ctx, present, set, cn, client, prefix, env, extra)
		return func(h *hub) { h.gathered(i, cc, ran, err, time.Now()) }
	})
}

// endOthers ends the older sessions of a common name.
func (h *hub) endOthers(i *instance) {
	for _, o := range h.names.others(i) {
		h.log(i, logging.Steps, "MULTI: new connection by client '%s' will cause previous active sessions by this client to be dropped.  Remember to use the --duplicate-cn option if you want multiple clients using the same certificate or username to concurrently connect.", i.commonName)
		o.heir, o.ending = i, endReplaced
		h.remove(o)
	}
}

// gather collects the configuration of one client. It runs beside the hub. Without env neither a script nor a plugin is asked.
// One that puts its answer off is waited for while the client is present: its next session waits for its turn meanwhile.
// ran tells that client-connect succeeded, or that there is none.
func (a *aside) gather(ctx, present context.Context, set *setup, cn string, client uint64, prefix string, env *hooks.Env, extra []string) (cc *config.ClientConfig, ran bool, err error) {
	cc = set.NewClientConfig()
	a.shared(set, cc, "", prefix)
	if set.ClientConfigDir != "" || a.deps.Fleet != nil {
		if err := a.readCCD(set, cc, cn, prefix); err != nil {
			return nil, false, err
		}
	}
	if env != nil && !cc.Disable {
		set.exportFixed(env, cc)
		if err := a.connectPlugins(ctx, present, set, cc, client, prefix, env); err != nil {
			return nil, false, err
		}
		if set.ClientConnect != "" {
			if err := a.connectScript(ctx, present, set, cc, client, prefix, env); err != nil {
				return nil, false, err
			}
		}
	}
	ran = !cc.Disable // a client-disconnect script without client-connect counts as well
	if len(extra) > 0 {
		a.parse(set, cc, "[CONFIG-STRING]", prefix, []byte(strings.Join(extra, "\n")+"\n"))
	}
	cc.Pin(set.Timers)
	return cc, ran, nil
}

// readCCD reads the file of the common name, else that of all nodes, else DEFAULT here, else DEFAULT of all nodes.
func (a *aside) readCCD(set *setup, cc *config.ClientConfig, cn, prefix string) error {
	path, text, err := "", []byte(nil), error(nil)
	if set.ClientConfigDir != "" {
		path, text, err = findCCD(set.ClientConfigDir, cn, set.CCDExclusive)
	}
	own := path != "" && path == ccdPath(set.ClientConfigDir, fileName(cn))
	switch {
	case err != nil:
		return refusedFor(fmt.Sprintf("MULTI: client has been rejected: its file in --client-config-dir cannot be read: %v", err))
	case !own && cn != defaultFile && a.shared(set, cc, cn, prefix):
	case path != "":
		a.logLine(prefix, logging.Steps, "OPTIONS IMPORT: reading client specific options from: %s", path)
		a.parse(set, cc, path, prefix, text)
	case set.CCDExclusive:
		return set.exclusiveRefusal(cn)
	default:
		a.shared(set, cc, defaultFile, prefix)
	}
	return nil
}

// shared applies what all nodes have for a name, and reports whether there is anything.
func (a *aside) shared(set *setup, cc *config.ClientConfig, name, prefix string) bool {
	if a.deps.Fleet == nil {
		return false
	}
	text, ok := a.deps.Fleet.File(name)
	if ok {
		a.logLine(prefix, logging.Steps, "FLEET: options for %q that all nodes have", cmp.Or(name, "every client"))
		a.parse(set, cc, "fleet:"+name, prefix, []byte(text))
	}
	return ok
}

// parse applies client-specific lines; wrong ones are logged and skipped. A text that cannot be read to its end, for a block that never
// ends, disables the client: what follows may say so.
func (a *aside) parse(set *setup, cc *config.ClientConfig, path, prefix string, text []byte) {
	cc.Lookup = a.lookup
	wrong := set.ParseClientConfig(cc, path, text)
	for _, n := range cc.Notes {
		a.logLine(prefix, n.Level, "%s", n.Text)
	}
	cc.Notes = nil
	for _, e := range wrong {
		a.logLine(prefix, logging.Error, "%v", e)
		if e.Fatal {
			a.logLine(prefix, logging.Error, "%s cannot be read to its end: its client is disabled", path)
			cc.Disable = true
		}
	}
}

// lookupLimit bounds the search for the address of a name.
const lookupLimit = 5 * time.Second

// lookup finds the first IPv4 address of a name. The error is the C library's text.
func (a *aside) lookup(name string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(a.hooksCtx, lookupLimit)
	defer cancel()
	addrs, err := transport.Resolve(ctx, name, transport.FamilyIPv4)
	if err != nil {
		return netip.Addr{}, errors.New(transport.ResolveReason(err))
	}
	return addrs[0], nil
}

// connectScript runs client-connect, deferred or not, and applies what it wrote.
func (a *aside) connectScript(ctx, present context.Context, set *setup, cc *config.ClientConfig, client uint64, prefix string, env *hooks.Env) error {
	files, err := newExchange(set.TmpDir, "cc", "ccr")
	if err != nil {
		return refusedFor(err.Error())
	}
	defer files.remove()
	env.Set("client_connect_config_file", files.path("cc"))
	env.Set("client_connect_deferred_file", files.path("ccr"))
	err = a.script(ctx, client, hooks.Call{Tag: "--client-connect", Type: "client-connect", Command: set.ClientConnect, Args: []string{files.path("cc")}, Env: env})
	if err != nil {
		a.logLine(prefix, logging.Warn, "%v", err)
		return &refusal{log: "client-connect refused"}
	}
	if strings.HasPrefix(files.read("ccr"), "2") {
		ctx, cancel := during(ctx, present)
		defer cancel()
		if err := files.awaitChange(ctx, "ccr", "2"); err != nil {
			if present.Err() == nil {
				a.logLine(prefix, logging.Warn, "MULTI: deferred --client-connect script returned CC_RET_FAILED")
			}
			return &refusal{log: "deferred client-connect refused"}
		}
	}
	a.logLine(prefix, logging.Steps, "OPTIONS IMPORT: reading client specific options from: %s", files.path("cc"))
	a.parse(set, cc, files.path("cc"), prefix, []byte(files.read("cc")))
	return nil
}

// during is ctx while the client is present.
func during(ctx, present context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(present, cancel)
	return ctx, func() { stop(); cancel() }
}

// gathered goes on with the configuration of a client.
func (h *hub) gathered(i *instance, cc *config.ClientConfig, ran bool, err error, now time.Time) {
	if i.stage == session.Gone {
		if ran && h.set.wants(h.set.ClientDisconnect, plugin.ClientDisconnect) {
			h.disconnectScript(i, h.env(i)) // it went while the connect script ran
		}
		return
	}
	if err == nil && cc.Disable {
		err = refusedFor("MULTI: client has been rejected due to 'disable' directive")
	}
	if err != nil {
		h.reject(i, err, now)
		return
	}
	i.stage.Reach(session.Configured)
	i.config = cc
	if cc.OverrideUsername != "" {
		i.username = cc.OverrideUsername
	}
	h.address(i)
	if !i.virtual.v4.IsValid() {
		h.log(i, logging.Error, "MULTI: no dynamic or static remote --ifconfig address is available for %s", i.prefix())
		if h.deps.Fleet != nil && h.pool.Pool != nil {
			h.sendOn(i, fleet.ErrExhausted, now)
			return
		}
	}
	list := h.routesTo(h.set, i)
	if !h.learn(h.set, i, list, func(h *hub, learned []route, now time.Time) { h.establish(i, learned, now) }) {
		h.establish(i, list, now)
	}
}

// reject turns away a client that was accepted but may not come in.
func (h *hub) reject(i *instance, err error, now time.Time) {
	if r := refusalOf(err); r.line != "" {
		h.log(i, r.level, "%s", r.line)
	}
	h.log(i, logging.Detail, "refused: %v", err)
	i.session.Reject(err)
	h.settle(i, now)
}

// exportFixed shows client-connect the fixed addresses of the ccd file instead of the lease.
func (s *setup) exportFixed(env *hooks.Env, cc *config.ClientConfig) {
	if cc.Ifconfig.Set() {
		for _, name := range []string{"ifconfig_pool_remote_ip", "ifconfig_pool_netmask", "ifconfig_pool_local_ip"} {
			env.Unset(name)
		}
		s.exportAddresses(env, cc.Ifconfig.Local, cc.Ifconfig.Remote, netip.Prefix{})
	}
	if cc.IfconfigIPv6.Set() {
		s.exportAddresses(env, netip.Addr{}, netip.Addr{}, cc.IfconfigIPv6.Local)
	}
}

// address puts the fixed addresses of a client's configuration in the place of what the pool gave it. A client with a fixed
// IPv4 address alone keeps its slot of the pool, for the IPv6 address: stock pushes one too, and the same to the next such client.
func (h *hub) address(i *instance) {
	cc := i.config
	if cc.Ifconfig.Set() {
		if cc.IfconfigIPv6.Set() || !i.virtual.v6.IsValid() {
			h.pool.drop(i)
			h.forgo(i)
		}
		i.virtual.v4, i.virtual.local4 = cc.Ifconfig.Local, cc.Ifconfig.Remote
	}
	if cc.IfconfigIPv6.Set() {
		i.virtual.v6 = cc.IfconfigIPv6.Local
	}
	if cc.Ifconfig.Set() {
		h.fixedAddress(h.set, i)
	}
}

// fixedAddress warns about what is odd with an address from ifconfig-push.
func (c *clientLog) fixedAddress(set *setup, i *instance) {
	if bound := set.PushConstraint; bound.Set() && !within(i.virtual.v4, bound.Network, bound.Netmask) {
		c.log(i, logging.Info, "MULTI ERROR: primary virtual IP for %s (%s) violates tunnel network/netmask constraint (%s/%s)", i.prefix(), i.virtual.v4, bound.Network, bound.Netmask)
	}
	if set.IfconfigIPv6Pool.Set() && !i.virtual.v6.IsValid() {
		c.log(i, logging.Warn, "MULTI_sva: WARNING: if --ifconfig-push is used for IPv4, automatic IPv6 assignment from --ifconfig-ipv6-pool does not work.  Use --ifconfig-ipv6-push for IPv6 then.")
	}
}

// within reports whether an IPv4 address is in a network.
func within(a, network, mask netip.Addr) bool {
	if !a.Is4() || !network.Is4() || !mask.Is4() {
		return false
	}
	x, n, m := a.As4(), network.As4(), mask.As4()
	for i := range x {
		if x[i]&m[i] != n[i]&m[i] {
			return false
		}
	}
	return true
}

func shown(a netip.Addr) string {
	if !a.IsValid() {
		return "(Not enabled)"
	}
	return a.String()
}

// establish opens the tunnel of a client and pushes its options.
func (h *hub) establish(i *instance, list []route, now time.Time) {
	if i.stage != session.Configured || i.session.Leaving() != session.Stays || !h.leaving.IsZero() {
		return
	}
	ciphers := i.config.DataCiphers
	terms, err := session.ServerTerms(ciphers, i.config.DataCiphersFallback, &i.info, i.occ, i.slot)
	if err != nil {
		h.log(i, logging.Info, "PUSH: No common cipher between server and client. Server data-ciphers: '%s', client supported ciphers '%s'", strings.Join(ciphers, ":"), i.info.Get("IV_CIPHERS"))
		h.reject(i, &refusal{client: err.Error()}, now)
		return
	}
	if h.deps.Offload != nil {
		terms.Epoch = false // the kernel has none
	}
	if h.set.ForceTLSKeyMaterialExport && !terms.EKM {
		why := refusedFor("client cannot derive keys by TLS exporter")
		why.client = "Keying Material Exporters required"
		h.reject(i, why, now)
		return
	}
	if err := h.openTunnel(i, terms); err != nil {
		h.reject(i, refusedFor(err.Error()), now)
		return
	}
	h.route(h.set, i, list, now)
	i.stage.Reach(session.Established)
	h.established++
	h.regulars.Note(i.peer.Load().Addr.Addr())
	i.timers.Open()
	i.timers.Use(&i.counts.Traffic, now)
	if h.set.MTUTest && i.tunnel.Load() != nil && !i.link.RemoteAddr().IsValid() { // of datagrams alone
		i.mtuTest.Start(h.set.prof.TunMTU, now)
	}
	var event *server.ClientEvent
	if h.port.Attended() {
		e := i.portEvent(h.env(i), h.established)
		event = &e
	}
	first := (i.push.Requested() || i.info.Has(message.ProtoRequestPush)) && h.sendPush(i, now)
	if event != nil {
		h.port.ClientEstablished(*event)
	}
	h.recordUp(i)
	if first {
		h.describe(h.set, i)
	}
	h.wakeAt(i, now)
}

// openTunnel makes the data channel of a client.
func (h *hub) openTunnel(i *instance, terms session.Terms) error {
	p := terms.Params(keys.Server)
	outer := data.Outer{IPv6: i.peer.Load().Addr.Addr().Is6(), TCP: i.link.RemoteAddr().IsValid()}
	if err := material.Packets(&p, h.set.Options, h.set.prof, h.set.framing(i), i.config.AllowCompression, outer); err != nil {
		return err
	}
	h.set.setPort(i)
	if out := h.deps.Offload; out != nil {
		if err := h.links.offload(out, i, p, terms.CCExit); err != nil {
			return err
		}
		if i.offloaded != nil {
			return i.session.Attach(terms, i.offloaded)
		}
	}
	ch, err := i.session.Open(terms, p)
	if err != nil {
		return err
	}
	i.tunnel.Store(ch)
	return nil
}

// setPort sets what the data plane needs to know about a client, before its tunnel is open.
func (s *setup) setPort(i *instance) {
	i.name = i.commonName
	i.maxStations = s.MaxRoutesPerClient
	if i.config.MaxRoutesPerClient > 0 {
		i.maxStations = i.config.MaxRoutesPerClient
	}
	i.maxStations = max(i.maxStations, 1)
	i.learns = ratelimit.New(i.maxStations, time.Duration(i.maxStations)*time.Second)
	if s.VLANTagging {
		i.vlan = uint16(i.config.VLANPVID)
	}
}
