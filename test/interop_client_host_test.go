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
)

// With persist-tun device and routes stay over a restart.
func TestClientKeepsItsDevice(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t, "--duplicate-cn", "--push", "route 172.16.0.0 255.240.0.0", "--ifconfig-pool-persist", l.file("pool"))
	c := ours(t, l.client, l.clientArgs("--persist-tun", "--persist-key"))
	c.WaitLine(t, up, upLimit)
	index := l.client.LinkFile(t, "tun0", "ifindex")
	from := c.Lines()
	c.Signal(t, syscall.SIGUSR1)
	c.WaitLineAfter(t, from, up, upLimit)
	again := c.Log()
	switch {
	case strings.Contains(again, "Preserving previous TUN/TAP instance: tun0"):
		if now := l.client.LinkFile(t, "tun0", "ifindex"); now != index {
			t.Errorf("the device is another one: %s, was %s", now, index)
		}
	case !strings.Contains(again, "NOTE: Pulled options changed on restart"):
		t.Error("neither kept nor reopened with a reason")
	}
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	terminate(t, c)
}

// The whole traffic goes into the tunnel, and comes back out of it on the way down.
func TestClientRedirectsTheGateway(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1")
	before := network(t, l.client)
	l.stockServer(t, "--push", "redirect-gateway def1", "--server-ipv6", "fd00:8::/64")
	c := ours(t, l.client, l.clientArgs())
	c.WaitLine(t, up, upLimit)
	routes := l.client.Run(t, "ip", "route")
	for _, want := range []string{"0.0.0.0/1 via 10.8.0.1", "128.0.0.0/1 via 10.8.0.1", "10.99.0.1 via 10.99.0.1"} {
		if !strings.Contains(routes, want) {
			t.Errorf("no route %q in\n%s", want, routes)
		}
	}
	firstAnswer(t, l.client, "fd00:8::1")
	ping(t, l.client, "fd00:8::1", 3, 0, "0.1")
	terminate(t, c)
	if diff := cmp.Diff(before, network(t, l.client)); diff != "" {
		t.Errorf("the host is not as it was (-before +after):\n%s", diff)
	}
}

// Scripts run in stock's order, with the variables they are used to.
func TestClientRunsScripts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t, "--push", "route 172.16.0.0 255.240.0.0", "--push", "dhcp-option DNS 192.0.2.53")
	record := l.file("record")
	hook := l.write(t, "hook.sh", []byte("#!/bin/sh\n{ echo \"== $script_type $*\"; /usr/bin/env; } >>"+record+"\n"))
	if err := syscall.Chmod(hook, 0o700); err != nil {
		t.Fatal(err)
	}
	c := ours(t, l.client, l.clientArgs("--script-security", "2", "--up", hook, "--down", hook, "--route-up", hook,
		"--route-pre-down", hook, "--ipchange", hook, "--tls-verify", hook, "--setenv", "MINE", "yes"))
	c.WaitLine(t, up, upLimit)
	terminate(t, c)
	log := l.client.Run(t, "cat", record)
	expectInOrder(t, log, []string{
		"== tls-verify 1 CN=Lab CA", "== tls-verify 0 CN=server", "== up tun0 1500 0 10.8.0.2 255.255.255.0 init", "== route-up ",
		"== route-pre-down tun0 1500 0 10.8.0.2 255.255.255.0 init", "== down tun0 1500 0 10.8.0.2 255.255.255.0 init",
	})
	if !strings.Contains(log, "== ipchange [AF_INET]10.99.0.1 1194") {
		t.Errorf("ipchange did not run:\n%s", log)
	}
	_, upPart, _ := strings.Cut(log, "== up ")
	upPart, _, _ = strings.Cut(upPart, "== ")
	for _, want := range []string{
		"MINE=yes", "common_name=server", "dev=tun0", "dev_type=tun", "foreign_option_1=dhcp-option DNS 192.0.2.53", "ifconfig_local=10.8.0.2",
		"ifconfig_netmask=255.255.255.0", "proto_1=udp", "remote_1=10.99.0.1", "remote_port_1=1194", "route_gateway_1=10.8.0.1", "route_netmask_1=255.240.0.0",
		"route_network_1=172.16.0.0", "route_vpn_gateway=10.8.0.1", "script_context=init", "script_type=up", "tls_id_0=CN=server", "trusted_ip=10.99.0.1",
		"trusted_port=1194", "tun_mtu=1500", "untrusted_ip=10.99.0.1", "verb=3", "X509_0_CN=server",
	} {
		if !slices.Contains(strings.Split(upPart, "\n"), want) {
			t.Errorf("no variable %s in\n%s", want, upPart)
		}
	}
}

// A client that was killed took the default route along; the next one puts it back before it does anything else. What
// tells it so is root's alone, also when a process without privileges wrote it.
func TestKilledClientsRoutesComeBack(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]string{
		"root":                   nil,
		"nobody":                 {"--user", "nobody", "--group", "nogroup"},
		"nobody after a restart": {"--user", "nobody", "--group", "nogroup", "--persist-key", "--persist-tun"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1", "metric", "7")
			before := l.client.Run(t, "ip", "route")
			l.stockServer(t, "--push", "redirect-gateway", "--push", "route 172.16.0.0 255.240.0.0 net_gateway")
			c := ours(t, l.client, l.clientArgs(opts...))
			c.WaitLine(t, up, upLimit)
			if strings.HasSuffix(name, "restart") {
				from := c.Lines()
				c.Signal(t, syscall.SIGUSR1)
				c.WaitLineAfter(t, from, up, upLimit)
			}
			rootsNotes(t, c.PID())
			c.Signal(t, syscall.SIGKILL)
			c.Wait(t, 5*time.Second)
			if left := l.client.Run(t, "ip", "route"); strings.Contains(left, "default") || !strings.Contains(left, "172.16.0.0/12") {
				t.Fatalf("the kill left nothing to mend:\n%s", left)
			}
			next := ours(t, l.client, l.clientArgs("--management", l.file("sock"), "unix", "--management-hold"))
			next.WaitLine(t, "Need hold release", upLimit)
			expectInOrder(t, next.Log(), []string{"NOTE: restoring routes of process"})
			if after := l.client.Run(t, "ip", "route"); after != before {
				t.Errorf("routes are\n%s\nthey were\n%s", after, before)
			}
		})
	}
}

// rootsNotes fails the test unless the route notes of a process and all folders above belong to root alone.
func rootsNotes(t *testing.T, pid int) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	start := strings.Fields(fields)[19] // of an earlier process with this number there may be notes as well
	files, err := filepath.Glob(fmt.Sprintf("/run/moongate/*/%d-%s.routes", pid, start))
	if err != nil || len(files) != 1 {
		t.Fatalf("notes: %q, %v", files, err)
	}
	for _, path := range []string{"/run/moongate", filepath.Dir(files[0]), files[0]} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 || info.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s belongs to %d with %v", path, owner, info.Mode())
		}
	}
}
