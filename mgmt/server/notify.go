package server

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// State adds to the state history and tells the seats that want to know. A zero time becomes now.
func (s *Server) State(e mgmt.State) {
	if e.Time.IsZero() {
		e.Time = s.cfg.Now()
	}
	line := append(e.Append([]byte(">STATE:")), '\r', '\n')
	if s.wanted(func(st *seat) bool { return st.state }) {
		s.logf(3, "", "MANAGEMENT: "+string(line[:len(line)-2]))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states.add(shown(line[len(">STATE:"):]))
	s.fanout(essential, line, func(st *seat) bool { return st.state })
}

// Log adds to the log history and tells the seats that want to know. A zero time becomes now. It must not be called with
// a lock that the daemon's logger needs.
func (s *Server) Log(e mgmt.LogEntry) {
	if e.Time.IsZero() {
		e.Time = s.cfg.Now()
	}
	line := append(e.Append(make([]byte, 0, len(e.Text)+24)), '\r', '\n')
	line = line[:len(line):len(line)]
	both := newEntry(line)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs.add(both)
	s.fanoutLog(both)
}

// Echo adds to the echo history and tells the seats that want to know. Longer texts than 255 bytes are dropped, as stock
// does, and logged.
func (s *Server) Echo(text string) {
	if len(text) > maxEcho {
		s.logf(1, mgmt.FlagWarning, "echo text is longer than "+strconv.Itoa(maxEcho)+" bytes and was dropped")
		return
	}
	e := mgmt.EchoEntry{Time: s.cfg.Now(), Text: text}
	line := append(e.Append([]byte(">ECHO:")), '\r', '\n')
	s.mu.Lock()
	defer s.mu.Unlock()
	s.echoes.add(shown(line[len(">ECHO:"):]))
	s.fanout(essential, line, func(st *seat) bool { return st.echo })
}

const (
	maxEcho    = 255 // bytes of an echo text
	maxInfoMsg = 246 // bytes of the text; the whole line has 255
)

// Fatal tells the end of the process by an error, and closes the server: the last lines are still written.
func (s *Server) Fatal(text string) {
	s.tell(mgmt.KindFatal, text)
	s.Close()
}

// PasswordFailed tells that a secret was refused; reason is the server's, verbatim, or empty.
//
//	>PASSWORD:Verification Failed: 'Auth' ['reason']
func (s *Server) PasswordFailed(secret, reason string) {
	s.tellSecret(mgmt.KindPassword, string(mgmt.Failed{Type: secret, Reason: reason}.Append(nil)))
}

// AuthToken hands on a token that the server pushed, to seats that may answer prompts.
func (s *Server) AuthToken(token string) {
	line := wire.AppendLine(nil, mgmt.KindPassword, string(mgmt.AppendAuthToken(nil, token)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fanout(essential, line, func(st *seat) bool { return st.maySee() })
}

// InfoMsg hands on a text of the server. Longer texts than fit a line of 255 bytes are only logged, as stock does.
func (s *Server) InfoMsg(text string) {
	if len(text) > maxInfoMsg {
		s.logf(1, mgmt.FlagWarning, "information message is too long for the management interface: "+strconv.Itoa(len(text))+" bytes")
		return
	}
	s.tellSecret(mgmt.KindInfoMsg, text)
}

// Notify tells an event by type and text, severity info.
func (s *Server) Notify(kind, text string) { s.tell(mgmt.KindNotify, "info,"+kind+","+text) }

// UpDown tells that the tunnel came up or went down, with the variables of scripts in the order to print them.
func (s *Server) UpDown(up bool, env []string) {
	text := "DOWN"
	if up {
		text = "UP"
	}
	block := wire.Notification{Kind: mgmt.KindUpDown, Text: text, Env: env}.Append(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fanout(essential, block, nil)
}

// ClientConnect tells that a client gave its credentials and waits for a decision about its first key.
func (s *Server) ClientConnect(e ClientEvent) {
	s.undecide(e.CID, e.KID)
	s.client(mgmt.ClientConnect, ids(e.CID, e.KID), "", e, true)
}

// ClientReauth tells the same for a renegotiated key.
func (s *Server) ClientReauth(e ClientEvent) {
	s.undecide(e.CID, e.KID)
	s.client(mgmt.ClientReauth, ids(e.CID, e.KID), "", e, true)
}

// ClientEstablished tells that a client is set up.
func (s *Server) ClientEstablished(e ClientEvent) {
	s.client(mgmt.ClientEstablished, ids(e.CID), "", e, false)
}

// ClientDisconnect tells that a client is gone. It ends what was decided about it.
func (s *Server) ClientDisconnect(e ClientEvent) {
	s.client(mgmt.ClientDisconnect, ids(e.CID), "", e, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.decided {
		if k.cid == e.CID {
			delete(s.decided, k)
		}
	}
}

// ClientCRResponse hands on a client's answer to a challenge, base64, which only seats that may decide about clients see.
func (s *Server) ClientCRResponse(e ClientEvent, response string) {
	s.client(mgmt.ClientCRResponse, ids(e.CID, e.KID)+",", response, e, true)
}

// ClientAddress tells an address or subnet that leads to a client; own marks the client's own address.
//
//	10.8.7.2  192.168.50.0/255.255.255.0  192.168.51.9/255.255.255.255  fd00:7::1000  fd00:50::/48  fd00:51::9/128
//
// Own addresses have no length, subnets always.
func (s *Server) ClientAddress(cid uint64, p netip.Prefix, own bool) {
	text, mark := p.String(), ",0"
	switch {
	case own:
		text, mark = p.Addr().String(), ",1"
	case p.Addr().Is4():
		text = p.Addr().String() + "/" + netip.AddrFrom4(mask4(p.Bits())).String()
	}
	s.tell(mgmt.KindClient, mgmt.ClientAddress+","+ids(cid)+","+text+mark)
}

func mask4(bits int) [4]byte {
	m := ^uint32(0) << (32 - bits)
	return [4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}
}

func ids(n ...uint64) string {
	var b []byte
	for i, v := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, v, 10)
	}
	return string(b)
}

// client tells a CLIENT block, formatted once for each environment filter in use. secret ends the head line for those who may
// see it.
func (s *Server) client(event, text, secret string, e ClientEvent, info bool) {
	heads := [2][]byte{
		wire.AppendLine(nil, mgmt.KindClient, event+","+text), wire.AppendLine(nil, mgmt.KindClient, event+","+text+secret),
	}
	var blocks [filters][2][]byte
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.seats {
		level, secrets := filterLevel(st.envFilter), 0
		if st.maySee() {
			secrets = 1
		}
		b := &blocks[level][secrets]
		if *b == nil {
			var peerInfo []string
			if info {
				peerInfo = e.PeerInfo
			}
			*b = wire.AppendEnv(slices.Clone(heads[secrets]), mgmt.KindClient, filterEnv(e.Env, peerInfo, level, secrets == 1))
		}
		s.push(st, essential, *b)
	}
}

// tell sends one line to all seats.
func (s *Server) tell(kind, text string) {
	line := wire.AppendLine(nil, kind, text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fanout(essential, line, nil)
}

// tellSecret is tell for a text that may hold credentials.
func (s *Server) tellSecret(kind, text string) {
	both := newEntry(wire.AppendLine(nil, kind, text))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fanoutEntry(essential, both, nil)
}

// fanout pushes the same bytes to the seats that want them, all for nil. The lock is held.
func (s *Server) fanout(c class, b []byte, want func(*seat) bool) {
	for _, st := range s.seats {
		if want == nil || want(st) {
			s.push(st, c, b)
		}
	}
}

// fanoutLog tells a line of the log history to the seats that want it. The lock is held.
func (s *Server) fanoutLog(e entry) {
	wants := func(st *seat) bool { return st.log }
	if slices.ContainsFunc(s.seats, wants) {
		s.fanoutEntry(droppable, e.head(">LOG:"), wants)
	}
}

// push queues bytes for one seat, and ends it when essential ones no longer fit. The lock is held.
func (s *Server) push(st *seat, c class, lines ...[]byte) {
	dropped, ok := st.out.push(c, lines...)
	s.lost += uint64(dropped)
	if !ok {
		st.abort("it does not read")
	}
}

// wanted reports whether some seat wants to know.
func (s *Server) wanted(want func(*seat) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.seats {
		if want(st) {
			return true
		}
	}
	return false
}
