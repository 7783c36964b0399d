package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// certHooks watch the certificate checks of a session. They are made on the hub and run in the goroutine of the handshake,
// where a script may take its time.
func (h *hub) certHooks(i *instance) tlsconf.Hooks {
	a, verified, prefix := h.aside, &i.verified, i.prefix()
	hk := tlsconf.Hooks{
		Step: func(s tlsconf.Step) {
			if s.Line != "" {
				a.logLine(prefix, s.Level, "%s", s.Line)
			}
		},
		Chain: func(chain []*x509.Certificate) { verified.Store(&chain) },
	}
	if h.set.wants(h.set.TLSVerify, plugin.TLSVerify) {
		who := h.subject(h.set, i)
		hk.Cert = func(depth int, cert *x509.Certificate, subject string) error {
			return a.verifyCert(who, depth, cert, subject)
		}
	}
	return hk
}

// verifyCert asks plugins and tls-verify about one certificate of a chain. It exports the variables of all certificates so far.
func (a *aside) verifyCert(who subject, depth int, cert *x509.Certificate, subject string) error {
	set, env := who.set, who.env
	for _, v := range material.CertVars(set.Options, depth, cert) {
		name, value, _ := strings.Cut(v, "=")
		env.Set(name, value)
	}
	if name, err := tlsconf.Username(cert, set.X509UsernameFields); depth == 0 && err == nil && len(name) <= maxCommonName {
		env.Set("common_name", message.Remap(name))
	}
	path, err := material.ExportCert(set.Options, cert)
	if err != nil {
		a.logLine(who.prefix, logging.Error, "%v", err)
		return err
	}
	if path != "" {
		defer os.Remove(path) //nolint:errcheck // it may have been moved
		env = env.With("peer_cert=" + path)
	}
	ctx, cancel := hooks.OfEvent.Context(a.working)
	defer cancel()
	if set.wants("", plugin.TLSVerify) {
		r := hooks.Runner{Plugins: a.scripts.Plugins, Done: a.scripts.Done}
		err := r.TellPlugins(ctx, hooks.Call{
			Tag: "--tls-verify", Event: plugin.TLSVerify, Client: who.client, Depth: depth, Args: []string{fmt.Sprint(depth), subject}, Env: env, Log: a.logTo(who.prefix),
		})
		if err != nil {
			a.logLine(who.prefix, logging.Summary, "VERIFY PLUGIN ERROR: depth=%d, %s", depth, subject)
			return err
		}
		a.logLine(who.prefix, logging.Summary, "VERIFY PLUGIN OK: depth=%d, %s", depth, subject)
	}
	if set.TLSVerify == "" {
		return nil
	}
	call := hooks.Call{
		Tag: "--tls-verify script", Type: "tls-verify", Command: strings.ReplaceAll(set.TLSVerify, ",", " "),
		Args: []string{fmt.Sprint(depth), subject}, Env: env,
	}
	if err := a.script(ctx, who.client, call); err != nil {
		a.logLine(who.prefix, logging.Alert, "%v", err)
		a.logLine(who.prefix, logging.Summary, "VERIFY SCRIPT ERROR: depth=%d, %s", depth, subject)
		return err
	}
	a.logLine(who.prefix, logging.Summary, "VERIFY SCRIPT OK: depth=%d, %s", depth, subject)
	return nil
}

// verifyMetadata asks tls-crypt-v2-verify about the metadata of a client's key. It runs beside the hub.
func (a *aside) verifyMetadata(ctx context.Context, set *setup, metadata []byte) error {
	if len(metadata) == 0 {
		return &refusal{log: "client key without metadata"}
	}
	files, err := newMessage(set.TmpDir, "tls_crypt_v2_metadata_", metadata[1:])
	if err != nil {
		return err
	}
	defer files.remove()
	env := a.baseEnv().With(fmt.Sprintf("metadata_type=%d", metadata[0]), "metadata_file="+files.path("tls_crypt_v2_metadata_"))
	return a.script(ctx, 0, hooks.Call{Tag: "--tls-crypt-v2-verify", Type: "tls-crypt-v2-verify", Command: set.TLSCryptV2Verify, Env: env})
}

// response hands on a client's answer to a challenge, while the login that it is for waits. A script may refuse that login.
func (h *hub) response(i *instance, text string, now time.Time) {
	if !i.session.AwaitsAnswer() || !i.noise.Allow(now) {
		return
	}
	env := h.env(i)
	addressVars(env, "trusted", i.peer.Load().Addr) // the key is up though the login is undecided
	h.port.ClientCRResponse(i.portEvent(env, h.established), text)
	if !h.set.wants(h.set.ClientCRResponse, plugin.ClientCRResponse) {
		return
	}
	i.session.TakeAnswer()
	set, login, client, prefix := h.set, i.session.Login(), i.context(), i.prefix()
	forPlugins := env.With(append(i.logins.deferredFiles[:len(i.logins.deferredFiles):len(i.logins.deferredFiles)], "crresponse="+text)...)
	h.beside(hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		_, err := a.plugins(ctx, prefix, client, plugin.ClientCRResponse, nil, forPlugins)
		if err == nil && set.ClientCRResponse != "" {
			err = a.responseScript(ctx, set, client, text, env)
		}
		if err != nil {
			a.logLine("", logging.Warn, "%v", err)
		}
		return func(h *hub) {
			i.session.AnswerTaken(login)
			if err != nil {
				h.verdict(i, login, session.Script, &refusal{log: "challenge response refused"}, time.Now())
			}
		}
	})
}

// responseScript gives client-crresponse a client's answer, in a file.
func (a *aside) responseScript(ctx context.Context, set *setup, client uint64, text string, env *hooks.Env) error {
	files, err := newMessage(set.TmpDir, "cr", []byte(text))
	if err != nil {
		return err
	}
	defer files.remove()
	return a.script(ctx, client, hooks.Call{
		Tag: "--client-crresponse", Type: "client-crresponse", Command: set.ClientCRResponse, Args: []string{files.path("cr")}, Env: env, Client: client,
	})
}
