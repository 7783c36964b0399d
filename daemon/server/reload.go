package server

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// Effect says how Apply treats an option that differs between the options in force and next.
func Effect(option string, inForce, next *config.Options) mgmt.Outcome {
	if option == "ifconfig-pool" && next.Fleet.Dir != "" {
		return mgmt.OutcomeRestart // all nodes have one pool
	}
	if option == "ifconfig-pool" {
		was, is := inForce.IfconfigPool, next.IfconfigPool
		if was.Set() && was.Start == is.Start && was.Netmask == is.Netmask && was.End.Compare(is.End) <= 0 {
			return mgmt.OutcomeApplied // more addresses at the end
		}
	}
	return config.OnReload(option)
}

// ErrNotServing means that there is no running instance to change.
var ErrNotServing = errors.New("the server is not running")

// Prove loads all that o names and throws it away: the error says what would fail at the start of a server with o.
func (s *Server) Prove(o *config.Options) error {
	_, err := s.proven(o)
	return err
}

// proven is o with all that it names, readable and of the right kind. What a start goes on without, refusing every client, is an
// error here: the running server has something better.
func (s *Server) proven(o *config.Options) (*setup, error) {
	set, err := load(s.kept.Hold(o), s.deps.Passphrase)
	if err != nil {
		return nil, err
	}
	if err := set.tls.CRLProblem(); err != nil {
		return nil, fmt.Errorf("crl-verify %s: %w", o.CRL, err)
	}
	for option, dir := range map[string]string{"client-config-dir": o.ClientConfigDir, "capath": o.CAPath, "tls-export-cert": o.TLSExportCert, "tmp-dir": o.TmpDir} {
		if dir == "" {
			continue
		}
		if fi, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("%s: %w", option, err)
		} else if !fi.IsDir() {
			return nil, fmt.Errorf("%s %s is not a directory", option, dir)
		}
	}
	for option, command := range map[string]string{
		"auth-user-pass-verify": o.AuthUserPassVerify, "client-connect": o.ClientConnect, "client-crresponse": o.ClientCRResponse,
		"client-disconnect": o.ClientDisconnect, "learn-address": o.LearnAddress, "tls-crypt-v2-verify": o.TLSCryptV2Verify, "tls-verify": o.TLSVerify,
	} {
		words, err := lexer.Split(command, option)
		if err != nil {
			return nil, err
		}
		if len(words) == 0 {
			continue
		}
		if fi, err := os.Stat(words[0]); err != nil {
			return nil, fmt.Errorf("%s: %w", option, err)
		} else if !fi.Mode().IsRegular() {
			return nil, fmt.Errorf("%s %s is not a program", option, words[0])
		}
	}
	return set, nil
}

// Apply puts o in force. It must not differ from the options in force where Effect asks for a restart. env is the new base
// of what scripts see. All files are read again; the report tells about those whose content changed. On an error nothing
// was changed. No session ends by it.
func (s *Server) Apply(o *config.Options, env *hooks.Env) ([]mgmt.Reloaded, error) {
	set, err := s.proven(o)
	if err != nil {
		return nil, err
	}
	var files []mgmt.Reloaded
	if !s.do(func(h *hub) { files, err = h.adopt(set) }) {
		return nil, ErrNotServing
	}
	if err != nil {
		return nil, err
	}
	for _, n := range set.tls.Notes() {
		s.logLine("", logging.Warn, "%s", n)
	}
	s.opts.Store(o)
	s.env.Store(env)
	s.applied.Store(&applied{o, set})
	return files, nil
}

// adopt makes set the one in force.
func (h *hub) adopt(set *setup) ([]mgmt.Reloaded, error) {
	old := h.set
	set.plugins = h.boot.plugins
	set.wrap, set.listeners = h.boot.wrap, h.boot.listeners // the pre-handshake checks have them too
	if set.AuthGenToken && set.token == nil {
		if set.token = old.token; set.token == nil {
			var err error
			if set.token, err = keys.GenerateTokenKey(rand.Reader); err != nil {
				return nil, err
			}
		}
	}
	if cfg, ok := set.poolConfig(); ok && h.pool.Pool != nil && set.IfconfigPool != old.IfconfigPool {
		if err := h.pool.Grow(cfg); err != nil {
			return nil, err
		}
	}
	h.table.grow(slotsFor(set.MaxClients))
	if set.ConnectFreq != old.ConnectFreq {
		h.creation = ratelimit.New(set.ConnectFreq.Count, set.ConnectFreq.Per)
	}
	h.set = set
	h.publish()
	return changedFiles(old.files, set.files), nil
}

// changedFiles reports the options whose files hold something else now.
func changedFiles(before, after map[string][sha256.Size]byte) []mgmt.Reloaded {
	var list []mgmt.Reloaded
	for option, sum := range after {
		was, known := before[option]
		if !known || was == sum {
			continue
		}
		outcome := config.OnReload(option)
		if outcome == mgmt.OutcomeRestart { // those that wrap control packets, which receivers hold
			after[option] = was // what is in force
		}
		list = append(list, mgmt.Reloaded{Option: option, Outcome: outcome})
	}
	slices.SortFunc(list, func(a, b mgmt.Reloaded) int {
		if a.Option < b.Option {
			return -1
		}
		return 1
	})
	return list
}

// fingerprints are digests of the files that options name. What is no file has none, as a pipe gives its text once only.
func fingerprints(o *config.Options) map[string][sha256.Size]byte {
	prof := &o.Connections[0]
	m := make(map[string][sha256.Size]byte)
	for option, src := range map[string]config.Source{
		"ca": o.CA, "cert": o.Cert, "key": o.Key, "extra-certs": o.ExtraCerts, "pkcs12": o.PKCS12,
		"auth-gen-token-secret": o.AuthTokenSecret, "tls-auth": prof.TLSAuth, "tls-crypt": prof.TLSCrypt, "tls-crypt-v2": prof.TLSCryptV2,
		"crl-verify": crlFile(o),
	} {
		if !src.Set() || src.IsInline() {
			continue
		}
		if info, err := os.Stat(src.Path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if b, err := src.Load(); err == nil {
			m[option] = sha256.Sum256(b)
		}
	}
	return m
}

// crlFile is the revocation list, when it is one file.
func crlFile(o *config.Options) config.Source {
	if o.CRLDir {
		return config.Source{}
	}
	return o.CRL
}

// exitNotify is explicit-exit-notify as it is in force.
func (b *base) exitNotify() int { return b.opts.Load().Connections[0].ExplicitExitNotify }

// baseEnv is the part of the scripts' environment that the configuration decides.
func (b *base) baseEnv() *hooks.Env { return b.env.Load() }
