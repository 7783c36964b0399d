package mgmttest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Mode names the engine that a scripted daemon runs.
type Mode uint8

// Modes.
const (
	Starting Mode = iota // neither: initial hold and prompts
	Client
	Server
)

// Peer is a client of a scripted server.
type Peer struct {
	CID, KID   uint64
	CommonName string
	Real       netip.AddrPort
	Virtual    string
	Count      mgmt.ByteCount
	Pending    bool // not admitted yet
	User       string
}

// Controller is a daemon's part that a test scripts. It records calls.
type Controller struct {
	mu        sync.Mutex // guards all below
	mode      Mode
	verb      int
	mute      int
	authRetry string
	remap     string
	count     mgmt.ByteCount
	counted   bool // a seat took the count
	idle      bool // no packets: a client reports no byte counts
	remotes   []server.Remote
	peers     []Peer
	reload    reload
	scripts   []mgmt.ScriptStatus
	fleet     *fleetNode // nil without a fleet
	calls     []string
}

// NewController returns a Controller in mode Starting, with stock's defaults.
func NewController() *Controller { return &Controller{verb: 1, authRetry: mgmt.AuthRetryNone} }

func (c *Controller) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// SetMode changes what runs.
func (c *Controller) SetMode(m Mode) { c.set(func() { c.mode = m }) }

// SetRemap sets what SIGUSR1 becomes.
func (c *Controller) SetRemap(name string) { c.set(func() { c.remap = name }) }

// SetTraffic sets the process's counters.
func (c *Controller) SetTraffic(n mgmt.ByteCount) { c.set(func() { c.count = n }) }

// Counted tells whether a seat of a client has asked for byte counts: what SetTraffic sets from now on is reported to it.
func (c *Controller) Counted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counted
}

// SetPeers sets the clients of a server.
func (c *Controller) SetPeers(p ...Peer) { c.set(func() { c.peers = p }) }

// Record adds to the calls.
func (c *Controller) Record(format string, args ...any) {
	call := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

// Calls returns what was recorded since the last time.
func (c *Controller) Calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

// The methods below make it a server.Controller.

// EffectiveSignal implements server.Controller.
func (c *Controller) EffectiveSignal(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == mgmt.SIGUSR1 && c.remap != "" {
		return c.remap
	}
	return name
}

// Signal implements server.Controller.
func (c *Controller) Signal(name, reason string) {
	c.Record("%s", strings.TrimSpace("Signal "+name+" "+reason))
}

// Verb implements server.Controller.
func (c *Controller) Verb() int { c.mu.Lock(); defer c.mu.Unlock(); return c.verb }

// SetVerb implements server.Controller.
func (c *Controller) SetVerb(n int) { c.set(func() { c.verb = n }) }

// Mute implements server.Controller.
func (c *Controller) Mute() int { c.mu.Lock(); defer c.mu.Unlock(); return c.mute }

// SetMute implements server.Controller.
func (c *Controller) SetMute(n int) { c.set(func() { c.mute = n }) }

// AuthRetry implements server.Controller.
func (c *Controller) AuthRetry() string { c.mu.Lock(); defer c.mu.Unlock(); return c.authRetry }

// SetAuthRetry implements server.Controller.
func (c *Controller) SetAuthRetry(mode string) { c.set(func() { c.authRetry = mode }) }

// ForgetPasswords implements server.Controller.
func (c *Controller) ForgetPasswords() { c.Record("ForgetPasswords") }

// LoadStats implements server.Controller.
func (c *Controller) LoadStats() mgmt.ByteCount { c.mu.Lock(); defer c.mu.Unlock(); return c.count }

// Client implements server.Controller.
func (c *Controller) Client() server.ClientController {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mode != Client {
		return nil
	}
	return clientSide{c}
}

// Server implements server.Controller.
func (c *Controller) Server() server.ServerController {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mode != Server {
		return nil
	}
	return serverSide{c}
}

// clientSide is the Controller in mode Client.
type clientSide struct{ *Controller }

func (c clientSide) Status(int) ([]string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []string{
		"OpenVPN STATISTICS", "Updated," + time.Now().Format(mgmt.StatusTime), "TUN/TAP read bytes,0", "TUN/TAP write bytes,0",
		"TCP/UDP read bytes," + strconv.FormatUint(c.count.In, 10), "TCP/UDP write bytes," + strconv.FormatUint(c.count.Out, 10),
		"Auth read bytes,0", "END",
	}, true
}

func (c clientSide) CRResponse(text string) bool {
	c.Record("CRResponse %s", text)
	return true
}

func (c clientSide) NetworkChange(same bool) { c.Record("NetworkChange %v", same) }

func (c clientSide) Remotes() []server.Remote {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remotes
}

func (c clientSide) Traffic() (mgmt.ByteCount, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted = true
	return c.count, !c.idle
}

// serverSide is the Controller in mode Server.
type serverSide struct{ *Controller }

func (c serverSide) Status(version int) ([]string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	sep, date := ",", now.Format(mgmt.StatusTime)
	if version < 2 {
		out := []string{"OpenVPN CLIENT LIST", "Updated," + date, "Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since"}
		for _, p := range c.peers {
			out = append(out, fmt.Sprintf("%s,%s,%d,%d,%s", p.CommonName, p.Real, p.Count.In, p.Count.Out, date))
		}
		return append(out, "ROUTING TABLE", "Virtual Address,Common Name,Real Address,Last Ref", "GLOBAL STATS", "Max bcast/mcast queue length,0", "END"), true
	}
	if version == 3 {
		sep = "\t"
	}
	row := func(f ...string) string { return strings.Join(f, sep) }
	out := []string{
		row("TITLE", "OpenVPN 2.6 scripted"), row("TIME", date, strconv.FormatInt(now.Unix(), 10)),
		row(append([]string{"HEADER", "CLIENT_LIST"}, mgmt.StatusColumns[mgmt.StatusClient]()...)...),
	}
	for _, p := range c.peers {
		cid := strconv.FormatUint(p.CID, 10)
		out = append(out, row(append([]string{"CLIENT_LIST"}, mgmt.StatusValues(mgmt.StatusClient{
			CommonName: p.CommonName, RealAddress: p.Real.String(), VirtualAddress: p.Virtual, BytesReceived: p.Count.In, BytesSent: p.Count.Out,
			ConnectedSince: now, ClientID: cid, PeerID: cid, Cipher: "AES-256-GCM", Username: p.User,
		})...)...))
	}
	return append(out, row(append([]string{"HEADER", "ROUTING_TABLE"}, mgmt.StatusColumns[mgmt.StatusRoute]()...)...),
		row("GLOBAL_STATS", "Max bcast/mcast queue length", "0"), row("GLOBAL_STATS", "dco_enabled", "0"), "END"), true
}

func (c serverSide) Clients() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, p := range c.peers {
		if !p.Pending {
			n++
		}
	}
	return n
}

// remove takes the peers out that match and counts them.
func (c serverSide) remove(match func(Peer) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.peers)
	c.peers = slices.DeleteFunc(slices.Clone(c.peers), match)
	return n - len(c.peers)
}

func (c serverSide) KillName(cn string) int {
	n := c.remove(func(p Peer) bool { return p.CommonName == cn })
	c.Record("KillName %s: %d", cn, n)
	return n
}

func (c serverSide) KillAddr(a netip.AddrPort, _ string) int {
	n := c.remove(func(p Peer) bool { return p.Real == a })
	c.Record("KillAddr %s: %d", a, n)
	return n
}

// has reports whether there is such a client, with that key unless kid is 0, and admits it if asked.
func (c serverSide) has(cid, kid uint64, admit bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.peers {
		if p.CID == cid && (kid == 0 || p.KID == kid) {
			c.peers[i].Pending = p.Pending && !admit
			return true
		}
	}
	return false
}

func (c serverSide) ClientAuth(cid, kid uint64, config []string) (effect func()) {
	ok := c.has(cid, kid, true)
	c.Record("ClientAuth %d %d %q: %v", cid, kid, config, ok)
	return nothing(ok)
}

func (c serverSide) ClientDeny(cid, kid uint64, reason, clientReason string) (effect func()) {
	ok := c.has(cid, kid, false)
	c.Record("ClientDeny %d %d %q %q: %v", cid, kid, reason, clientReason, ok)
	return nothing(ok)
}

// nothing is the effect of a verdict about a client that is there.
func nothing(there bool) (effect func()) {
	if !there {
		return nil
	}
	return func() {}
}

func (c serverSide) ClientPending(cid, kid uint64, extra string, timeout time.Duration) bool {
	ok := c.has(cid, kid, false)
	c.Record("ClientPending %d %d %q %v: %v", cid, kid, extra, timeout, ok)
	return ok
}

func (c serverSide) ClientKill(cid uint64, message string) bool {
	ok := c.has(cid, 0, false)
	c.Record("ClientKill %d %q: %v", cid, message, ok)
	return ok
}

func (c serverSide) Traffic(f func(uint64, mgmt.ByteCount)) {
	c.mu.Lock()
	peers := slices.Clone(c.peers)
	c.mu.Unlock()
	for _, p := range peers {
		if !p.Pending {
			f(p.CID, p.Count)
		}
	}
}
