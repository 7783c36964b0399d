package session

import (
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
)

// MTUTest measures which packets the path carries (mtu-test): both ends send each other large packets, and in the end tell the
// largest that came through.
//
//	Start, 3 s, { MTU_LOAD_REQUEST, 3 s, MTU_LOAD, 3 s } 30 times, MTU_REQUEST → MTU_REPLY
//
// The zero value does nothing. Packets and lines are those of the stock program.
type MTUTest struct {
	mtu  int       // of the tunnel, bytes
	at   time.Time // of the next step; zero: there is none
	sent int       // steps so far
}

// Times of the test.
const (
	mtuTestPause = 3 * time.Second
	mtuTestLoads = 60 // requests and loads
	mtuTestAsks  = 10 // for the result, which may be lost
)

// Start starts the test of a data channel that is open.
func (m *MTUTest) Start(mtu int, now time.Time) { m.mtu, m.at, m.sent = mtu, now.Add(mtuTestPause), 0 }

// Due is the time of the next step, zero when there is none.
func (m *MTUTest) Due() time.Time { return m.at }

// Step returns the packets that are due, and a line for the log unless it is "".
func (m *MTUTest) Step(ch *data.Channel, now time.Time) (pkts [][]byte, line string) {
	if m.at.IsZero() || now.Before(m.at) {
		return nil, ""
	}
	m.at = now.Add(mtuTestPause)
	switch step := m.sent; {
	case step >= mtuTestLoads+mtuTestAsks:
		m.at = time.Time{}
		return nil, "NOTE: failed to empirically measure MTU (requires OpenVPN 1.5 or higher at other end of connection)."
	case step >= mtuTestLoads:
		pkts = ch.SealMTURequest(now)
	case step%2 == 0:
		pkts = ch.SealLoadRequest(m.mtu, now)
		if step == 0 {
			line = "NOTE: Beginning empirical MTU test -- results should be available in 3 to 4 minutes."
		}
	default:
		pkts = ch.SealLoad(m.mtu, now)
	}
	m.sent++
	return pkts, line
}

// Answer takes an in-band message of the peer. The one that ends the test gives lines for the log.
func (m *MTUTest) Answer(ch *data.Channel, msg []byte) (lines []string) {
	received, sent, ok := data.MTUReply(msg)
	if !ok || m.at.IsZero() || m.sent <= mtuTestLoads {
		return nil
	}
	m.at = time.Time{}
	ownSent, ownReceived := int(ch.Counters.MaxSealed.Load()), int(ch.Counters.MaxOpened.Load())
	lines = append(lines, fmt.Sprintf("NOTE: Empirical MTU test completed [Tried,Actual] local->remote=[%d,%d] remote->local=[%d,%d]", ownSent, received, sent, ownReceived))
	if received < ownSent || ownReceived < sent {
		lines = append(lines, fmt.Sprintf("NOTE: This connection is unable to accommodate a UDP packet size of %d. Consider using --fragment or --mssfix options as a workaround.", ownSent))
	}
	return lines
}
