package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// nodes are the servers of the demonstrated fleet, one a namespace.
var nodes = []string{"edge1", "edge2", "edge3"}

func nodeAddress(n int) string { return "10.98.0." + strconv.Itoa(n+1) }

const fleetClientAddress = "10.98.0.9"

// nodeNS are the letters of the nodes' namespaces.
const nodeNS = "xyz"

func (a *arena) nodeSpace(n int) string {
	return prefix + nodeNS[n:n+1] + strings.TrimPrefix(a.server, prefix+"s")
}

func nodeConf(n int) string {
	return `# moongate demonstration: a node of a fleet
fleet ` + nodes[n] + `
dev tun
proto udp
local ` + nodeAddress(n) + `
port 1194
server 10.98.8.0 255.255.255.0
topology subnet
keepalive 1 4
ca ca.crt
cert server.crt
key server.key
dh none
tls-crypt-v2 ` + nodes[n] + `/tls-crypt-v2.key
auth-gen-token
username-as-common-name
management ` + nodes[n] + `.sock unix
management-client-auth
script admit.lua
verb 3
`
}

const fleetClientConf = `# moongate demonstration: a client with three remotes
client
dev tun
proto udp
remote 10.98.0.1 1194
remote 10.98.0.2 1194
remote 10.98.0.3 1194
server-poll-timeout 3
connect-retry 1 2
nobind
ca ca.crt
cert client.crt
key client.key
tls-crypt-v2 client-v2.key
remote-cert-tls server
auth-user-pass password
management client.sock unix
verb 3
`

// fleetSteps is the demonstration of a fleet.
func (a *arena) fleetSteps() []step {
	port := filepath.Join(a.dir, "client.sock")
	var address string
	return []step{
		{"Certificates and configurations, made on the spot. Each node has this one", nodeConf(0), func(context.Context) error { return writeFleetFiles(a.dir) }},
		{"Four network namespaces at one switch: three nodes and a client", "", a.fleetNetwork},
		{"The first node: a folder with the fleet's authority and keys, and its server", "", func(ctx context.Context) error {
			return errors.Join(a.node(ctx, 0, "fleet", "init", "--name", nodes[0], "--address", nodeAddress(0), filepath.Join(a.dir, nodes[0])), a.startNode(ctx, 0))
		}},
		{"Two more join it", "", func(ctx context.Context) error {
			for n := 1; n < len(nodes); n++ {
				if err := a.join(ctx, n); err != nil {
					return err
				}
			}
			return nil
		}},
		{"They elect a leader of their store", "", func(ctx context.Context) error { return a.settled(ctx) }},
		{"The client logs in with a password, once", "", func(ctx context.Context) error {
			key := filepath.Join(a.dir, "client-v2.key")
			if err := a.quiet(ctx, a.Program, "genkey", "tls-crypt-v2-client", "--server-key", filepath.Join(a.dir, nodes[0], "tls-crypt-v2.key"), key); err != nil {
				return err
			}
			if err := a.daemon(ctx, a.client, "client", "Initialization Sequence Completed"); err != nil {
				return err
			}
			a.quote(nodes[0], "may come in", nodes[0])
			if err := a.moongate(ctx, "state", "-a", port); err != nil {
				return err
			}
			var err error
			if address, err = a.clientAddress(ctx, port); err != nil {
				return err
			}
			return a.node(ctx, 1, "-a", "fleet", "clients", "--columns", "name,virtual,since")
		}},
		{"The first node is killed. The client goes on at the next one, with its address and without a password", "", func(ctx context.Context) error {
			if err := a.daemons[0].Process.Kill(); err != nil {
				return err
			}
			begin := time.Now()
			if err := a.logged(ctx, "client", "Initialization Sequence Completed", 2); err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "    back %.1f seconds after the kill\n", time.Since(begin).Seconds())
			if err := a.moongate(ctx, "state", "-a", port); err != nil {
				return err
			}
			if now, err := a.clientAddress(ctx, port); err != nil || now != address {
				return errors.Join(fmt.Errorf("the client had %s, and has %s", address, now), err)
			}
			return a.run(ctx, a.client, "ping", "-c", "3", "-i", "0.2", innerServer)
		}},
		{"What the fleet says now: each answer names the node that did not answer", "", func(ctx context.Context) error {
			var exit *exec.ExitError
			if err := a.node(ctx, 1, "-a", "fleet", "clients", "--columns", "name,virtual,since"); !errors.As(err, &exit) || exit.ExitCode() != 3 {
				return fmt.Errorf("the exit code is not 3: %w", err)
			}
			return nil
		}},
	}
}

// node runs a command of ours on a node's machine, and shows it.
func (a *arena) node(ctx context.Context, n int, args ...string) error {
	fmt.Fprintf(a.Out, "%s$ moongate %s\n", nodes[n], strings.Join(args, " "))
	cmd := a.onNode(ctx, n, args...)
	cmd.Stdout, cmd.Stderr = a.Out, a.Err
	return cmd.Run()
}

func (a *arena) onNode(ctx context.Context, n int, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", a.nodeSpace(n), a.Program}, args...)...)
	cmd.Env = append(os.Environ(), "MOONGATE_FLEET="+filepath.Join(a.dir, nodes[n]))
	return cmd
}

func (a *arena) startNode(ctx context.Context, n int) error {
	return a.daemon(ctx, a.nodeSpace(n), nodes[n], "Initialization Sequence Completed")
}

// join admits a node, with a token that passes by standard input.
func (a *arena) join(ctx context.Context, n int) error {
	fmt.Fprintf(a.Out, "%s$ moongate fleet invite\n", nodes[0])
	out, err := a.onNode(ctx, 0, "fleet", "invite").Output()
	if err != nil {
		return err
	}
	_, token, ok := strings.Cut(string(out), "fleet join ")
	if !ok {
		return fmt.Errorf("no token in %q", out)
	}
	fmt.Fprintf(a.Out, "%s$ moongate fleet join - --name %s\n", nodes[n], nodes[n])
	cmd := a.onNode(ctx, n, "fleet", "join", "-", "--name", nodes[n], filepath.Join(a.dir, nodes[n]))
	cmd.Stdin, cmd.Stderr = strings.NewReader(strings.TrimSpace(token)+"\n"), a.Err
	if err := cmd.Run(); err != nil {
		return err
	}
	return a.startNode(ctx, n)
}

// settled waits until all nodes are of one mind, and shows it.
func (a *arena) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*upTimeout)
	defer cancel()
	for {
		out, err := a.onNode(ctx, 0, "fleet", "status").CombinedOutput()
		in, inErr := a.onNode(ctx, 0, "-a", "fleet", "raw", "fleet-status").Output() // a new store takes a moment to be filled
		if err == nil && inErr == nil && bytes.Count(out, []byte("led by")) == len(nodes) && bytes.Count(in, []byte(`"store":"up"`)) == len(nodes) {
			return a.node(ctx, 0, "fleet", "status")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the nodes do not agree:\n%s", out)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// logged waits until a log has had a text so many times.
func (a *arena) logged(ctx context.Context, name, text string, times int) error {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	for {
		if b, err := os.ReadFile(a.log(name)); err == nil && bytes.Count(b, []byte(text)) >= times {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the log of %s does not say %q %d times", name, text, times)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// clientAddress is the client's address in the tunnel.
func (a *arena) clientAddress(ctx context.Context, port string) (string, error) {
	out, err := exec.CommandContext(ctx, a.Program, "raw", "state", "-a", port).Output()
	if err != nil {
		return "", err
	}
	fields := strings.Split(string(out), ",")
	if len(fields) < 4 {
		return "", fmt.Errorf("the client's state is %q", out)
	}
	return fields[3], nil
}

// fleetNetwork joins the namespaces of the nodes and the client at a bridge in one of its own.
func (a *arena) fleetNetwork(ctx context.Context) error {
	lines := []string{"netns add " + a.server, "-n " + a.server + " link add br0 type bridge", "-n " + a.server + " link set br0 up"}
	plug := func(ns, address, name string) {
		lines = append(lines,
			"netns add "+ns,
			"link add eth0 netns "+ns+" type veth peer name "+name+" netns "+a.server,
			"-n "+a.server+" link set "+name+" master br0 up",
			"-n "+ns+" addr add "+address+"/24 dev eth0",
			"-n "+ns+" link set lo up",
			"-n "+ns+" link set eth0 up")
	}
	for n, name := range nodes {
		plug(a.nodeSpace(n), nodeAddress(n), name)
	}
	plug(a.client, fleetClientAddress, "client")
	for _, line := range lines {
		if err := a.quiet(ctx, "ip", strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}
