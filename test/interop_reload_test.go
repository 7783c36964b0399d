//go:build linux

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// reloadLab is a server of ours with a configuration file that is changed while a stock client is connected.
type reloadLab struct {
	*lab
	server *daemontest.Process
	port   *client.Client
}

// configure writes the server's file: what every variant has, and lines of its own.
func (l *lab) configure(t *testing.T, lines ...string) string {
	t.Helper()
	base := []string{
		"dev tun", "mode server", "tls-server", "ifconfig 10.8.0.1 255.255.255.0", "ifconfig-pool 10.8.0.2 10.8.0.9", "topology subnet",
		`push "topology subnet"`, `push "route-gateway 10.8.0.1"`, "dh none", "verb 3", "keepalive 1 20",
		"ca " + l.file("ca.crt"), "cert " + l.file("server.crt"), "key " + l.file("server.key"), "crl-verify " + l.file("crl.pem"),
		"management " + l.file("server.sock") + " unix", "duplicate-cn",
	}
	return l.write(t, "server.conf", []byte(strings.Join(append(base, lines...), "\n")+"\n"))
}

// revocations writes the authority's list.
func (l *lab) revocations(t *testing.T) {
	t.Helper()
	crl, err := l.ca.CRL(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "crl.pem", crl)
}

func newReloadLab(t *testing.T, lines ...string) *reloadLab {
	t.Helper()
	l := newLab(t)
	l.revocations(t)
	p := ours(t, l.server, []string{"--config", l.configure(t, lines...)})
	p.WaitLine(t, up, upLimit)
	return &reloadLab{l, p, manage(t, l.file("server.sock"))}
}

// reload asks for one and returns its report.
func (l *reloadLab) reload(t *testing.T) []string {
	t.Helper()
	r, err := l.port.Cmd(t.Context(), "reload")
	if err != nil {
		t.Fatalf("reload: %v\n%s", err, l.server.Log())
	}
	return r.Body()
}

// A stock client stays connected through reloads that change what newcomers are told and show; nobody is kicked, and no
// packet is lost.
func TestReloadKeepsClients(t *testing.T) {
	t.Parallel()
	l := newReloadLab(t, `push "route 10.1.0.0 255.255.0.0"`, "max-clients 1")
	old := stock(t, l.client, l.clientArgs())
	old.WaitLine(t, up, upLimit)
	address := ownTunnelAddress(t, l.client)

	lost := lostMeanwhile(l.client, "10.8.0.1", 60, "0.1")
	if diff := cmp.Diff([]string(nil), l.reload(t)); diff != "" {
		t.Errorf("a reload without changes (-want +got):\n%s", diff)
	}

	revoked := l.issue(t, "gone", pki.Spec{Name: "gone"})
	l.ca.Revoke(revoked)
	l.revocations(t)
	l.issue(t, "server", pki.Spec{Name: "server-renewed", Server: true})
	hook := l.write(t, "hook.sh", []byte("#!/bin/sh\necho \"$common_name\" >> "+l.file("hooked")+"\n"))
	if err := os.Chmod(hook, 0o700); err != nil {
		t.Fatal(err)
	}
	script := l.write(t, "hello.lua", []byte("print('hello from ' .. 'Lua')\nmoongate.every(60, function() end)\n"))
	l.configure(t, `push "route 10.2.0.0 255.255.0.0"`, "max-clients 5", "ifconfig-pool 10.8.0.2 10.8.0.99", "verb 4", "script-security 2",
		"client-connect "+hook, "script "+script, "proto tcp-server", "keepalive 1 15")
	want := []string{
		"cert,applied", "client-connect,applied", "crl-verify,applied", "ifconfig-pool,applied", "keepalive,reconnect", "key,applied",
		"max-clients,applied", "proto,restart", "push,reconnect", "script,applied", "script-security,applied", "verb,applied",
	}
	if diff := cmp.Diff(want, l.reload(t)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	l.server.WaitLine(t, "hello from Lua", upLimit)
	l.write(t, "hello.lua", []byte("print('hello ' .. 'again')\nmoongate.every(60, function() end)\n"))
	if diff := cmp.Diff([]string{"proto,restart", "script,applied"}, l.reload(t)); diff != "" {
		t.Errorf("report of a changed script (-want +got):\n%s", diff)
	}
	l.server.WaitLine(t, "hello again", upLimit)

	l.issue(t, "client", pki.Spec{Name: "newcomer"})
	newcomer := ours(t, l.client, l.clientArgs("--dev", "tun1", "--verb", "4"))
	newcomer.WaitLine(t, up, upLimit)
	if log := newcomer.Log(); !strings.Contains(log, "route 10.2.0.0 255.255.0.0") || strings.Contains(log, "route 10.1.0.0") || !strings.Contains(log, "ping-restart 15") {
		t.Errorf("the newcomer was not told the new options:\n%s", log)
	}
	if log := newcomer.Log(); !strings.Contains(log, "server-renewed") {
		t.Errorf("the newcomer does not see the new certificate:\n%s", log)
	}
	if got := strings.TrimSpace(read(l.file("hooked"))); got != "newcomer" {
		t.Errorf("client-connect ran for %q", got)
	}

	l.write(t, "client.crt", revoked.CertPEM)
	l.write(t, "client.key", revoked.KeyPEM)
	refused := ours(t, l.client, l.clientArgs("--dev", "tun2"))
	l.server.WaitLine(t, "certificate revoked", upLimit)
	refused.Stop(t)

	if out := <-lost; out != "" {
		t.Errorf("pings were lost:\n%s", out)
	}
	if now := ownTunnelAddress(t, l.client); now != address {
		t.Errorf("the client had %s and has %s", address, now)
	}
	if log := old.Log(); strings.Contains(log, "SIGUSR1") || strings.Count(log, up) != 1 {
		t.Errorf("the stock client had to connect again:\n%s", log)
	}
	if diff := cmp.Diff([]string{"proto,restart"}, l.reload(t)); diff != "" {
		t.Errorf("what is still due (-want +got):\n%s", diff)
	}
	terminate(t, newcomer)
	terminate(t, old)
	terminate(t, l.server)
}

// A server that gave up its rights reloads with the keys it has read before.
func TestReloadWithoutRights(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.revocations(t)
	for _, open := range []string{l.dir, filepath.Dir(l.dir)} { // a user without rights reaches the files that are not secret
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	rights := []string{"user nobody", "group nogroup", "persist-key", "persist-tun", "tls-crypt " + l.file("ta.key")}
	readable := func(names ...string) {
		for _, name := range names {
			if err := os.Chmod(l.file(name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := l.configure(t, rights...)
	readable("server.conf", "crl.pem", "ca.crt", "server.crt")
	p := l.server.Start(t, program(t), "--config", path)
	p.WaitLine(t, up, upLimit)
	r := &reloadLab{l, p, manage(t, l.file("server.sock"))}
	l.configure(t, append(rights, `push "route 10.2.0.0 255.255.0.0"`)...)
	if diff := cmp.Diff([]string{"push,reconnect"}, r.reload(t)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for range 2 {
		c := stock(t, l.client, l.clientArgs("--tls-crypt", l.file("ta.key")))
		c.WaitLine(t, up, upLimit)
		if !strings.Contains(c.Log(), "route 10.2.0.0 255.255.0.0") {
			t.Errorf("the client was not told the new options:\n%s", c.Log())
		}
		terminate(t, c)
		from := p.Lines()
		p.Signal(t, syscall.SIGUSR1) // and the next instance has what the reload brought
		p.WaitLineAfter(t, from, up, upLimit)
	}
	terminate(t, p)
}

// Whatever a configuration names is read before anything is replaced: of a file that is missing, empty, half written, of another
// kind or a folder, the reload says so, and what was in force stays.
func TestReloadRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	gone := l.issue(t, "gone", pki.Spec{Name: "gone"})
	l.ca.Revoke(gone)
	l.revocations(t)
	l.write(t, "extra.crt", l.ca.PEM)
	l.write(t, "port.crt", []byte(read(l.file("server.crt"))))
	l.write(t, "port.key", []byte(read(l.file("server.key"))))
	l.write(t, "port.pass", []byte("secret\n"))
	script := l.write(t, "verify.sh", []byte("#!/bin/sh\nexit 0\n"))
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	l.write(t, "hello.lua", []byte("moongate.every(60, function() end)\n"))
	if err := os.Mkdir(l.file("ccd"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"tls-crypt-v2-server", "auth-token"} {
		if out, err := l.server.TryRun(daemontest.RequireOpenVPN(t), "--genkey", kind, l.file(kind)); err != nil {
			t.Fatal(out)
		}
	}
	lines := []string{
		"extra-certs " + l.file("extra.crt"), "script-security 2", "auth-user-pass-verify " + script + " via-env", "auth-user-pass-optional",
		"client-config-dir " + l.file("ccd"), "script " + l.file("hello.lua"), "tls-auth " + l.file("ta.key"), "auth-gen-token 3600",
		"auth-gen-token-secret " + l.file("auth-token"), "management 127.0.0.1 7505 " + l.file("port.pass"), "management-tls " + l.file("port.crt") + " " + l.file("port.key"),
	}
	p := ours(t, l.server, []string{"--config", l.configure(t, lines...)})
	p.WaitLine(t, up, upLimit)
	r := &reloadLab{l, p, manage(t, l.file("server.sock"))}
	if diff := cmp.Diff([]string(nil), r.reload(t)); diff != "" {
		t.Fatalf("a reload without changes (-want +got):\n%s", diff)
	}
	// a file that a running server does not take is proven as well
	withV2 := append(slices.Clone(lines), "tls-crypt-v2 "+l.file("tls-crypt-v2-server"), "port 1195")
	for name, wanted := range map[string][]string{
		"ca.crt": lines, "server.crt": lines, "server.key": lines, "extra.crt": lines, "crl.pem": lines, "ta.key": lines, "auth-token": lines, "verify.sh": lines,
		"port.crt": lines, "port.key": lines, "port.pass": lines,
		"hello.lua": lines, "ccd": lines, "tls-crypt-v2-server": withV2,
	} {
		path := l.file(name)
		l.configure(t, wanted...)
		content := read(path)
		for damage, do := range map[string]func() error{
			"missing":      func() error { return nil },
			"empty":        func() error { return os.WriteFile(path, nil, 0o600) },
			"garbage":      func() error { return os.WriteFile(path, []byte("x = = 1\n"), 0o600) },
			"half written": func() error { return os.WriteFile(path, []byte(content[:len(content)/2]), 0o600) },
			"folder":       func() error { return os.Mkdir(path, 0o700) },
		} {
			switch { // what these are read as is up to those who run them
			case name == "ccd" && damage == "folder", name == "verify.sh" && damage != "missing" && damage != "folder",
				name == "hello.lua" && damage == "empty", name == "port.pass" && damage != "missing" && damage != "folder":
				continue
			}
			if name == "hello.lua" {
				content = "moongate.every(60, function() end)\nfunction"
			}
			old := path + ".old"
			if err := os.Rename(path, old); err != nil {
				t.Fatal(err)
			}
			if err := do(); err != nil {
				t.Fatal(err)
			}
			_, err := r.port.Cmd(t.Context(), "reload")
			if err == nil || !strings.Contains(err.Error(), "reload failed, nothing was changed") || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %s: %v", name, damage, err)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(old, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.configure(t, lines...)
	crl := read(l.file("crl.pem"))
	l.write(t, "crl.pem", []byte(crl[:len(crl)/2]))
	if _, err := r.port.Cmd(t.Context(), "reload"); err == nil {
		t.Error("a half written revocation list was accepted")
	}
	args := []string{"--tls-auth", l.file("ta.key")}
	c := stock(t, l.client, l.clientArgs(args...))
	c.WaitLine(t, up, upLimit) // the list before is in force: it lets this one in
	l.write(t, "client.crt", gone.CertPEM)
	l.write(t, "client.key", gone.KeyPEM)
	refused := stock(t, l.client, l.clientArgs(append(args, "--dev", "tun2")...))
	p.WaitLine(t, "certificate revoked", upLimit) // and not that one
	refused.Stop(t)
	l.write(t, "crl.pem", []byte(crl))
	if diff := cmp.Diff([]string(nil), r.reload(t)); diff != "" {
		t.Errorf("after all (-want +got):\n%s", diff)
	}
	terminate(t, c)
	terminate(t, p)
}

// A mistake in the file changes nothing; SIGHUP reloads, and with reload-compat and for "reload full" restarts.
func TestReloadErrorsAndRestarts(t *testing.T) {
	t.Parallel()
	l := newReloadLab(t, "max-clients 3")
	c := stock(t, l.client, l.clientArgs())
	c.WaitLine(t, up, upLimit)

	path := l.configure(t, "max-clients 4", "no-such-option 1")
	_, err := l.port.Cmd(t.Context(), "reload")
	if want := fmt.Sprintf("%s:%d", path, strings.Count(read(path), "\n")); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("error %v, want one that tells %s", err, want)
	}
	key := read(l.file("server.key"))
	l.configure(t, "max-clients 4")
	l.write(t, "server.key", []byte("no key at all\n"))
	if _, err := l.port.Cmd(t.Context(), "reload"); err == nil {
		t.Error("a broken key was accepted")
	}
	l.write(t, "server.key", []byte(key))
	if _, err := l.port.Cmd(t.Context(), "reload twice"); err == nil {
		t.Error("reload twice was accepted")
	}

	l.server.Signal(t, syscall.SIGHUP)
	l.server.WaitLine(t, "Reload: max-clients applied", upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	l.configure(t, "max-clients 4", "reload-compat")
	if diff := cmp.Diff([]string{"reload-compat,applied"}, l.reload(t)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if strings.Contains(l.server.Log(), "restarting") {
		t.Errorf("the server restarted:\n%s", l.server.Log())
	}
	from := l.server.Lines()
	l.server.Signal(t, syscall.SIGHUP)
	l.server.WaitLineAfter(t, from, "SIGHUP[hard,] received, process restarting", upLimit)
	l.server.WaitLineAfter(t, from, up, upLimit)

	from = l.server.Lines()
	do(t, l.port, "reload", "full")
	l.server.WaitLineAfter(t, from, "SIGHUP[hard,] received, process restarting", upLimit)
	l.server.WaitLineAfter(t, from, up, upLimit)
	c.Stop(t)
	terminate(t, l.server)
}
