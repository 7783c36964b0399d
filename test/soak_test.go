//go:build linux && soak

package test

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// The long runs, with the figures that hold on a machine of their own: make soak.

// memoryPerClient is what a connected client may cost a server, in bytes.
const memoryPerClient = 80_000

// Sixteen seats cost a loaded tunnel 2 % at most.
func TestSoakSeatsUnderTraffic(t *testing.T) {
	const run = 10 * time.Second
	seatsUnderTraffic(t, seatsPlan{pairs: max(3, int(daemontest.SoakTime(t)/(2*run))), run: run, tolerance: 0.02})
}

// Hooks that wait add a millisecond at most to the round trips of others.
func TestSoakServerHooks(t *testing.T) {
	hooksHoldNobodyUp(t, time.Millisecond)
}

// Of three hundred stock clients that come at once, each costs 1.3 ms of processor time at most; on a busy machine
// everything takes longer, stock's server included.
func TestSoakServerUnderLoad(t *testing.T) {
	theirs, own := serverUnderLoad(t, 300, settling)
	if limit := max(1300*time.Microsecond, theirs.handshake); own.handshake > limit {
		t.Errorf("a handshake costs %v, want at most %v", own.handshake, limit)
	}
	if own.memory > memoryPerClient {
		t.Errorf("a client costs %d bytes of memory, want at most %d", own.memory, memoryPerClient)
	}
}

// Five thousand clients of this process are all served.
func TestSoakServerClients(t *testing.T) {
	c := thousands(t, 5000)
	t.Log(c)
	if c.memory > memoryPerClient {
		t.Errorf("a client costs %d bytes of memory, want at most %d", c.memory, memoryPerClient)
	}
}

// A client that logged in once in a browser is not sent there again in a minute of renewals.
func TestSoakWebLogin(t *testing.T) {
	for server, start := range programs {
		for client, dial := range programs {
			t.Run(client+" client, "+server+" server", func(t *testing.T) {
				t.Parallel()
				logins, renewals := webLogin(t, start, dial, "10", time.Minute)
				if logins != 1 || renewals < 4 {
					t.Errorf("%d logins and %d renewals by token, want 1 and at least 4", logins, renewals)
				}
			})
		}
	}
}

// Every dialogue about credentials, with the stock client and with ours.
func TestSoakLifeOfCredentials(t *testing.T) { livesOfCredentials(t) }

// A server with twenty clients, half of them stock, that is restarted has them back in two seconds, under every wrapping.
func TestSoakServerRestart(t *testing.T) {
	for wrap := range wraps {
		t.Run(wrap, func(t *testing.T) {
			last := restartUnderClients(t, ours, wrap, 10)
			t.Logf("all are back after %v, with stock after %v", last, restartUnderClients(t, stock, wrap, 10))
			if last > 2*time.Second {
				t.Errorf("the last client is back %v after the new start", last)
			}
		})
	}
}

// Two logins within half a minute, with the codes of an authenticator app: two codes.
func TestSoakPasswordsFromStore(t *testing.T) { passwordsFromStore(t, 30*time.Second) }
