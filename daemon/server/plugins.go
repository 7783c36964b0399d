package server

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// Events that only plugins hear of, or whose answers differ from those of scripts. All others go with the scripts' calls.

// context identifies a client to plugins; 0 is the server.
func (i *instance) context() uint64 { return i.cid + 1 }

// logTo logs for a client.
func (b *base) logTo(prefix string) logging.Func { return b.deps.Log.With(prefix).Msg }

// plugins tells plugins of an event in one of the places for hooks.
func (a *aside) plugins(ctx context.Context, prefix string, client uint64, e plugin.Event, args []string, env *hooks.Env) (plugin.Result, error) {
	if !a.scripts.Plugins.Wants(e) {
		return plugin.Result{}, nil
	}
	if err := a.slots.take(ctx, client); err != nil {
		return plugin.Result{}, err
	}
	defer a.slots.give(client)
	list := e&(plugin.ClientConnectV2|plugin.ClientConnectDeferV2) != 0
	return a.scripts.Plugins.Call(ctx, plugin.Call{Event: e, Args: args, Env: env.Newest(), Client: client, List: list, Log: a.logTo(prefix)})
}

// question is a login as plugins and scripts are asked about it, beside the hub.
type question struct {
	about      *dataPath // hub.of leads to the client
	client     uint64    // to plugins
	prefix     string
	login      uint64
	user, pass string
	limit      hooks.Limit // of each program or plugin that is asked, until it answers or puts its answer off
}

// question makes one about a login of a client.
func (i *instance) question(login uint64, user, pass string) question {
	return question{about: &i.dataPath, client: i.context(), prefix: i.prefix(), login: login, user: user, pass: pass, limit: hooks.OfLogin(i.session.Patience())}
}

// deferred handles an answer that comes later, in a file. further tells the client what to do meanwhile, see
// pendingFromFile.
func (h *hub) deferred(q question, further string) {
	i := h.of(q.about)
	i.session.Defer(q.login)
	h.settle(i, time.Now())
	h.pendingFromFile(i, q.login, further)
}

// verifyLogin asks plugins and the script about a login, and tells plugins of the end of its key exchange. All have to accept. A
// plugin that puts off its answer is waited for after the script has run.
func (a *aside) verifyLogin(ctx context.Context, set *setup, l question, env *hooks.Env) error {
	files, deferred, err := a.askPlugins(ctx, set, l, env)
	defer files.remove()
	if err == nil && set.AuthUserPassVerify != "" {
		err = a.authScript(ctx, set, l, env)
	}
	if err != nil {
		return err
	}
	env.Unset("password")
	if err := a.tlsFinal(ctx, l, env); err != nil {
		return err
	}
	if deferred {
		if err := files.await(ctx, "acf"); err != nil {
			return &refusal{log: "plugin refused the login", client: strings.TrimRight(files.read("afr"), "\r\n")}
		}
	}
	return nil
}

// askPlugins asks plugins about a login, with exchange files of their own.
func (a *aside) askPlugins(ctx context.Context, set *setup, l question, env *hooks.Env) (files *exchange, deferred bool, err error) {
	if !a.scripts.Plugins.Wants(plugin.AuthUserPassVerify) {
		return &exchange{}, false, nil
	}
	if files, err = newLoginExchange(set.TmpDir); err != nil {
		return &exchange{}, false, &refusal{log: err.Error()}
	}
	named := files.loginVars()
	asking, cancel := l.limit.Context(ctx)
	defer cancel()
	r, err := a.plugins(asking, l.prefix, l.client, plugin.AuthUserPassVerify, nil, env.With(named...))
	if err != nil {
		return files, false, &refusal{log: "plugin refused the login", client: strings.TrimRight(files.read("afr"), "\r\n")}
	}
	if !r.Deferred {
		return files, false, nil
	}
	further := files.read("apf")
	a.post(func(h *hub) {
		h.of(l.about).logins.deferredFiles = named
		h.deferred(l, further)
	})
	return files, true, nil
}

func (a *aside) tlsFinal(ctx context.Context, l question, env *hooks.Env) error {
	asking, cancel := l.limit.Context(ctx)
	defer cancel()
	if _, err := a.plugins(asking, l.prefix, l.client, plugin.TLSFinal, nil, env); err != nil {
		return &refusal{log: "plugin refused the key exchange"}
	}
	return nil
}

// finalOnly asks plugins about the key of a client whose credentials need no verdict.
func (h *hub) finalOnly(i *instance, keyID uint8, login uint64, now time.Time) {
	who := i.question(login, "", "")
	env := h.env(i)
	i.logins.asking[keyID].stop = h.beside(hooks.OfLogin(i.session.Patience()), func(ctx context.Context, a *aside) func(*hub) {
		err := a.tlsFinal(ctx, who, env)
		return func(h *hub) { h.verdict(i, login, session.Script, err, time.Now()) }
	})
	i.session.Ask(login, session.Script, now.Add(i.session.Patience()+scriptLast))
	h.settle(i, now)
}

// connectSteps are the events that ask plugins for the configuration of a client: first those that answer in a file, then
// those that give lines back. A plugin that puts off its answer to ask is asked again with again.
var connectSteps = []struct {
	ask, again plugin.Event
	name       string // in the line about a failure
	file       bool   // the file is an argument
}{
	{plugin.ClientConnect, plugin.ClientConnectDefer, "client-connect", true},
	{plugin.ClientConnectV2, plugin.ClientConnectDeferV2, "client-connect-v2", false},
}

// askAgain is how often a plugin is asked that puts off its answer.
const askAgain = time.Second

// connectPlugins asks plugins for the configuration of a client, with the exchange files of a script.
func (a *aside) connectPlugins(ctx, present context.Context, set *setup, cc *config.ClientConfig, client uint64, prefix string, env *hooks.Env) error {
	waiting, cancel := during(ctx, present)
	defer cancel()
	for _, step := range connectSteps {
		if !a.scripts.Plugins.Wants(step.ask) {
			continue
		}
		files, err := newExchange(set.TmpDir, "cc", "ccr")
		if err != nil {
			return refusedFor(err.Error())
		}
		defer files.remove()
		own := env.Clone()
		own.Set("client_connect_config_file", files.path("cc"))
		own.Set("client_connect_deferred_file", files.path("ccr"))
		var args []string
		if step.file {
			args = []string{files.path("cc")}
		}
		r, err := a.plugins(ctx, prefix, client, step.ask, args, own)
		lists := r.Lists
		for err == nil && r.Deferred {
			if !a.scripts.Plugins.Wants(step.again) {
				err = files.awaitChange(waiting, "ccr", "2")
				break
			}
			select {
			case <-time.After(askAgain):
			case <-waiting.Done():
				err = waiting.Err()
				continue
			}
			r, err = a.plugins(ctx, prefix, client, step.again, args, own)
			lists = append(lists, r.Lists...)
		}
		if err != nil {
			a.logLine(prefix, logging.Warn, "WARNING: %s plugin call failed", step.name)
			return &refusal{log: step.name + " refused"}
		}
		a.takeLines(set, cc, prefix, files, lists)
	}
	return nil
}

// takeLines applies what plugins wrote and gave back.
func (a *aside) takeLines(set *setup, cc *config.ClientConfig, prefix string, files *exchange, lists [][]string) {
	if text := files.read("cc"); text != "" {
		a.logLine(prefix, logging.Steps, "OPTIONS IMPORT: reading client specific options from: %s", files.path("cc"))
		a.parse(set, cc, files.path("cc"), prefix, []byte(text))
	}
	for _, list := range lists {
		for n := 0; n+1 < len(list); n += 2 {
			if list[n] == "config" {
				a.parse(set, cc, "[CONFIG-STRING]", prefix, []byte(list[n+1]+"\n"))
			}
		}
	}
}

// addressKnown tells plugins of a client's address, once its first key is in use.
func (h *hub) addressKnown(i *instance) {
	if !h.set.wants("", plugin.IPChange) {
		return
	}
	env, prefix, at := h.env(i), i.prefix(), i.peer.Load().Addr
	addressVars(env, "trusted", at)
	h.inTurn(h.set.nameTurn(i), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		if _, err := a.plugins(ctx, prefix, 0, plugin.IPChange, []string{peerWords(at)}, env); err != nil {
			a.logLine(prefix, logging.Warn, "WARNING: ipchange plugin call failed")
		}
		return nil
	})
}

// peerWords is an address as ipchange gets it, its port after a space.
func peerWords(at netip.AddrPort) string {
	text := transport.AddrText(at)
	if n := strings.LastIndexByte(text, ':'); n >= 0 {
		text = text[:n] + " " + text[n+1:]
	}
	return text
}

// forgetContext has plugins drop what they keep for a client, once they have heard everything about it.
func (h *hub) forgetContext(i *instance) {
	if h.set.plugins == nil {
		return
	}
	client := i.context()
	h.inTurn(h.set.nameTurn(i), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		a.scripts.Plugins.Forget(ctx, client)
		return nil
	})
}
