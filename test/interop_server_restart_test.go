//go:build linux

package test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// wraps are the options of both ends for every wrapping of the control channel.
var wraps = map[string]struct {
	server, client []string
	files          func(*testing.T, *lab)
}{
	"none":         {},
	"tls-auth":     {[]string{"--tls-auth", "ta.key", "0"}, []string{"--tls-auth", "ta.key", "1"}, nil},
	"tls-crypt":    {[]string{"--tls-crypt", "ta.key"}, []string{"--tls-crypt", "ta.key"}, nil},
	"tls-crypt-v2": {[]string{"--tls-crypt-v2", "v2s.key"}, []string{"--tls-crypt-v2", "v2c.key"}, v2Keys},
}

// restartUnderClients ends a server with as many clients of each kind as told and starts it again. It returns how long
// after the new start the last of them is back.
func restartUnderClients(t *testing.T, program starter, wrap string, each int) time.Duration {
	t.Helper()
	w := wraps[wrap]
	l := newLab(t)
	if w.files != nil {
		w.files(t, l)
	}
	start := func() *daemontest.Process {
		s := program(t, l.server, l.serverArgs(append([]string{"--explicit-exit-notify", "1", "--ifconfig-pool-persist", l.file("pool")}, l.paths(w.server)...)...))
		s.WaitLine(t, up, upLimit)
		return s
	}
	s := start()
	var clients []*daemontest.Process
	for k := range each {
		for name, program := range programs {
			// With a name of its own a client gets its address again; with another one it opens its device anew and takes a second more.
			cert := fmt.Sprintf("%s%d", name, k)
			l.issue(t, cert, pki.Spec{Name: cert})
			n, server := l.host(t)
			clients = append(clients, program(t, n, l.clientArgs(append([]string{"--remote", server, "1194", "--nobind", "--persist-key", "--persist-tun", "--cert", l.file(cert + ".crt"), "--key", l.file(cert + ".key")}, l.paths(w.client)...)...)))
		}
	}
	lines := make([]int, len(clients))
	for i, c := range clients {
		c.WaitLine(t, up, upLimit)
		lines[i] = c.Lines()
	}
	s.Signal(t, syscall.SIGTERM)
	s.Wait(t, 10*time.Second)
	s = start()
	began := time.Now()
	var mu sync.Mutex
	var last time.Duration
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for time.Since(began) < upLimit {
				if all := strings.Split(c.Log(), "\n"); len(all) > lines[i] && strings.Contains(strings.Join(all[lines[i]:], "\n"), up) {
					mu.Lock()
					last = max(last, time.Since(began))
					mu.Unlock()
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("client %d is not back", i)
		})
	}
	wg.Wait()
	for _, c := range clients {
		c.Signal(t, syscall.SIGTERM)
	}
	for _, c := range clients {
		c.Wait(t, 10*time.Second)
	}
	terminate(t, s)
	return last
}

// A server that is restarted has its clients back in seconds, long before they would have given up; the soak holds it to two
// seconds, which a machine that runs other tests beside may miss by one repetition of a lost hello.
func TestServerRestartsUnderClients(t *testing.T) {
	t.Parallel()
	for wrap := range wraps {
		for name, program := range programs {
			t.Run(wrap+"/"+name, func(t *testing.T) {
				t.Parallel()
				last := restartUnderClients(t, program, wrap, 1)
				t.Logf("all are back after %v", last)
				if last > 10*time.Second {
					t.Errorf("the last client is back %v after the new start", last)
				}
			})
		}
	}
}

// A server that throws its sessions away tells the clients first, in stock's words, and they are back in seconds, long before they
// would have noticed by its silence.
func TestServerTellsBeforeItRestarts(t *testing.T) {
	t.Parallel()
	const told = "Connection reset command was pushed by server ('')"
	for way, command := range map[string]string{"SIGUSR1": "signal SIGUSR1", "SIGHUP": "signal SIGHUP", "reload full": "reload full"} {
		for name, program := range programs {
			if name == "stock" && way == "reload full" {
				continue // it has no such command
			}
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				s := program(t, l.server, l.serverArgs("--explicit-exit-notify", "1", "--management", l.file("sock"), "unix"))
				s.WaitLine(t, up, upLimit)
				c := stock(t, l.client, l.clientArgs("--nobind", "--persist-tun"))
				c.WaitLine(t, up, upLimit)
				from := c.Lines()
				do(t, manage(t, l.file("sock")), strings.Fields(command)...)
				c.WaitLineAfter(t, from, told, upLimit)
				c.WaitLineAfter(t, from, up, upLimit)
				ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			})
		}
	}
}

// A server that is told to end stays until its clients know, and no longer: who starts it again finds the port free before they are back.
func TestServerLeavesOnceItsClientsKnow(t *testing.T) {
	t.Parallel()
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := ours(t, l.server, l.serverArgs("--explicit-exit-notify", "1"))
			s.WaitLine(t, up, upLimit)
			c := program(t, l.client, l.clientArgs("--nobind", "--persist-tun", "--connect-retry", "30"))
			c.WaitLine(t, up, upLimit)
			began := time.Now()
			terminate(t, s)
			t.Logf("gone after %v", time.Since(began))
			c.WaitLine(t, "Connection reset command was pushed by server ('')", upLimit)
		})
	}
}

// A client whose opening packets meet a closed port repeats them sooner than one that gets no answer: four times in two seconds.
func TestClientAtAClosedPort(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := ours(t, l.client, l.clientArgs("--nobind"))
	const refused = "read UDPv4 [ECONNREFUSED]: Connection refused"
	c.WaitLine(t, refused, upLimit)
	began := time.Now()
	await(t, "four refusals", upLimit, func() bool { return strings.Count(c.Log(), refused) == 4 })
	t.Logf("after %v", time.Since(began)) // stock's fourth would come after 14 s
	l.stockServer(t)
	c.WaitLine(t, up, upLimit)
}

// A second SIGUSR1 while a server waits to restart changes nothing: the server restarts.
func TestServerRestartedTwice(t *testing.T) {
	t.Parallel()
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := program(t, l.server, l.serverArgs())
			s.WaitLine(t, up, upLimit)
			from := s.Lines()
			s.Signal(t, syscall.SIGUSR1)
			s.WaitLineAfter(t, from, "Restart pause", upLimit)
			s.Signal(t, syscall.SIGUSR1)
			s.WaitLineAfter(t, from, up, upLimit)
			terminate(t, s)
		})
	}
}
