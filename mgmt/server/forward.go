package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// Found tells that the daemon of the Relay is there and takes commands, by its greeting. Seats learn of it, unless it is
// the first time.
func (s *Server) Found(greeting string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greeting = greeting
	if s.away {
		s.away = false
		s.fanout(essential, notice(mgmt.NotifyFound, greeting), nil)
	}
}

// Wanted returns the commands that make a daemon of a protocol version tell what the seats want to hear. They go to it
// before any of a seat's.
func (s *Server) Wanted(version int) []string {
	s.proto.Store(int64(version))
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := []string{"version " + strconv.Itoa(version), "env-filter 0"}
	for _, name := range []string{streamState, streamLog, streamEcho} {
		for _, st := range s.seats {
			if *st.subscription(name) {
				lines = append(lines, name+" on")
				break
			}
		}
	}
	if d := s.shortest(); d > 0 {
		lines = append(lines, byteCountLine(d))
	}
	return lines
}

// Gone tells that the daemon of the Relay is gone: its prompts and what was decided go with it, the seats stay and are told.
func (s *Server) Gone(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.prompts) > 0 {
		s.cancel(s.prompts[0])
	}
	clear(s.answered)
	clear(s.decided)
	for _, st := range s.seats {
		st.countedAt = nil
	}
	if !s.away {
		s.away = true
		s.fanout(essential, notice(mgmt.NotifyLost, reason), nil)
	}
}

func notice(kind, text string) []byte {
	return wire.AppendLine(nil, mgmt.KindNotify, "info,"+kind+","+text)
}

// Forward tells the seats what the daemon of the Relay told: to each what it subscribed to and may see. Prompts wait for an
// answer and are shown to seats that come later. It does not block.
func (s *Server) Forward(n wire.Notification) {
	both := newEntry(wire.AppendLine(nil, n.Kind, n.Text))
	switch n.Kind {
	case mgmt.KindInfo: // each seat has had its greeting
	case mgmt.KindState, mgmt.KindEcho, mgmt.KindLog:
		c := essential
		if mgmt.Droppable(n.Kind) {
			c = droppable
		}
		s.forward(c, both, func(st *seat) bool { return *st.subscription(strings.ToLower(n.Kind)) })
	case mgmt.KindByteCount:
		s.forwardCount("", both.whole)
	case mgmt.KindByteCountClient:
		cid, _, _ := strings.Cut(n.Text, ",")
		s.forwardCount(cid, both.whole)
	case mgmt.KindUpDown:
		s.forward(essential, shown(n.Append(nil)), nil)
	case mgmt.KindClient:
		s.forwardClient(n)
	case mgmt.KindPassword:
		if token, ok := mgmt.ParseAuthToken(n.Text); ok {
			s.AuthToken(token)
		} else if need, err := mgmt.ParseNeed(n.Text); err == nil {
			s.show(&prompt{kind: askSecret, typ: need.Type, user: need.Username, pass: need.Password, line: fixed(both.whole)})
		} else {
			s.forward(essential, both, nil)
		}
	default:
		if p := relayedPrompt(n, both.whole); p != nil {
			s.show(p)
		} else {
			s.forward(essential, both, nil)
		}
	}
}

func (s *Server) forward(c class, e entry, want func(*seat) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fanoutEntry(c, e, want)
}

// relayedPrompt makes a prompt of a notification that is one, besides those for secrets.
func relayedPrompt(n wire.Notification, line []byte) *prompt {
	p := &prompt{line: fixed(line)}
	switch n.Kind {
	case mgmt.KindHold:
		p.kind = askHold
	case mgmt.KindNeedOK, mgmt.KindNeedStr:
		q, err := mgmt.ParseQuestion(n.Text)
		if err != nil {
			return nil
		}
		if p.kind, p.typ = askOK, q.Type; n.Kind == mgmt.KindNeedStr {
			p.kind = askString
		}
	case mgmt.KindRemote:
		p.kind = askRemote
	case mgmt.KindProxy:
		p.kind = askProxy
	case mgmt.KindNeedCertificate:
		p.kind = askCertificate
	case mgmt.KindPKSign, mgmt.KindRSASign:
		data, algorithm, _ := strings.Cut(n.Text, ",")
		p.kind, p.line = askSign, signLine(data, algorithm)
	default:
		return nil
	}
	return p
}

// show adds a prompt that nothing waits for here. It takes the place of an older one that asks the same, and a hold
// of all: the daemon has begun anew.
func (s *Server) show(p *prompt) {
	p.done = make(chan struct{})
	p.given = make(map[*seat]*pair)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i < len(s.prompts); {
		if old := s.prompts[i]; p.kind == askHold || old.kind == p.kind && old.typ == p.typ {
			s.cancel(old)
		} else {
			i++
		}
	}
	s.prompts = append(s.prompts, p)
	delete(s.answered, answeredKey{p.kind, p.typ})
	for _, st := range s.seats {
		s.push(st, essential, p.line(st))
	}
}

// cancel drops a prompt without an answer, and refuses the blocks that were to answer it. The lock is held.
func (s *Server) cancel(p *prompt) {
	s.drop(p)
	for _, st := range s.seats {
		if b := st.block; b != nil && b.prompt == p {
			b.refuse(b.word + " command failed")
		}
	}
}

// isPending reports whether p waits still. The lock is held.
func (s *Server) isPending(p *prompt) bool {
	for _, q := range s.prompts {
		if q == p {
			return true
		}
	}
	return false
}

// forwardCount tells a byte count to the seats whose interval is over. The daemon reports at the shortest interval of all
// seats; half of it is lent to its clock.
func (s *Server) forwardCount(cid string, line []byte) {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	grace := s.shortest() / 2
	for _, st := range s.seats {
		if st.every <= 0 || now.Sub(st.countedAt[cid]) < st.every-grace {
			continue
		}
		if st.countedAt == nil {
			st.countedAt = make(map[string]time.Time)
		}
		st.countedAt[cid] = now
		s.push(st, droppable, line)
	}
}

// forwardClient tells a CLIENT notification, filtered for each seat.
func (s *Server) forwardClient(n wire.Notification) {
	event, rest, _ := strings.Cut(n.Text, ",")
	if event == mgmt.ClientAddress {
		s.tell(n.Kind, n.Text)
		return
	}
	f := strings.SplitN(rest, ",", 3)
	e := ClientEvent{Env: n.Env, PeerInfo: peerInfo(n.Env)}
	e.CID, _ = strconv.ParseUint(f[0], 10, 64)
	if len(f) > 1 {
		e.KID, _ = strconv.ParseUint(f[1], 10, 64)
	}
	switch event {
	case mgmt.ClientConnect:
		s.ClientConnect(e)
	case mgmt.ClientReauth:
		s.ClientReauth(e)
	case mgmt.ClientEstablished:
		s.ClientEstablished(e)
	case mgmt.ClientDisconnect:
		s.ClientDisconnect(e)
		s.mu.Lock()
		for _, st := range s.seats {
			delete(st.countedAt, f[0])
		}
		s.mu.Unlock()
	case mgmt.ClientCRResponse:
		if len(f) == 3 {
			s.ClientCRResponse(e, f[2])
		}
	default:
		s.client(event, rest, "", e, true)
	}
}

// peerInfo are the lines that the client sent about itself, in its order: the environment has them the newest first.
func peerInfo(env []string) (out []string) {
	for i := len(env) - 1; i >= 0; i-- {
		if strings.HasPrefix(env[i], "IV_") || strings.HasPrefix(env[i], "UV_") {
			out = append(out, env[i])
		}
	}
	return out
}

// unsubscribe has the daemon of the Relay stop what only a seat that left wanted. It must be called without locks.
func (s *Server) unsubscribe(left *seat, before time.Duration) {
	nobody := func([]string) {}
	for _, name := range []string{streamState, streamLog, streamEcho} {
		if *left.subscription(name) && !s.wanted(func(st *seat) bool { return *st.subscription(name) }) {
			s.cfg.Relay.Do(name+" off", nil, nobody)
		}
	}
	s.mu.Lock()
	now := s.shortest()
	s.mu.Unlock()
	if now != before {
		s.cfg.Relay.Do(byteCountLine(now), nil, nobody)
	}
}
