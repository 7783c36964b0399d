package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// seat is one attached client.
type seat struct {
	s    *Server
	conn net.Conn
	door *door  // through which it came
	from string // the host of the other end, "" on this machine
	name string // of the other end, for the log
	out  *queue
	role mgmt.Role // set before it is attached
	in   wire.Input
	over atomic.Bool   // aborted: what is left needs no goodbye
	why  string        // of the abort, "" for one that is not logged
	gone chan struct{} // closed by the abort
	pace *rate.Limiter // of the commands handed on to a daemon behind a Relay

	logs     *rate.Limiter // of the commands that are logged, nil: all are
	unlogged int           // commands that were not, and not yet told; of the session's goroutine, as the next
	told     time.Time     // when the last of them were

	ending atomic.Bool // finish was called: its limit runs from the first time

	// Guarded by Server.mu.
	attached  bool
	id        uint64
	state     bool
	log       bool
	echo      bool
	envFilter int
	version   int
	block     *block
	signWord  string               // of the last signature request shown: pk-sign or rsa-sign
	every     time.Duration        // bytecount interval, 0 for none
	next      time.Time            // of the next byte count
	counted   counters             // what the last byte counts were made of
	countedAt map[string]time.Time // the last byte count by client id, behind a Relay
}

// session is the life of one connection: check, TLS, password, commands. It closes conn.
func (s *Server) session(ctx context.Context, conn net.Conn, a Access, in *door) error {
	st := &seat{
		s: s, conn: conn, door: in, from: origin(conn), name: a.Name, out: newQueue(&s.cfg.Limits), role: mgmt.RoleAdmin,
		gone: make(chan struct{}), pace: rate.NewLimiter(rate.Limit(s.cfg.Limits.RelayRate), s.cfg.Limits.RelayRate),
	}
	if st.name == "" {
		st.name = peerName(conn)
	}
	if a.LogRate > 0 {
		st.logs = rate.NewLimiter(rate.Limit(a.LogRate), 10*a.LogRate)
	}
	stop := context.AfterFunc(ctx, st.finish)
	defer stop()
	defer st.hangUp()
	if a.Check != nil {
		if err := a.Check(conn); err != nil {
			s.logf(1, mgmt.FlagWarning, "MANAGEMENT: connection from "+st.name+" refused: "+err.Error())
			return errors.Join(ErrRefused, err)
		}
	}
	conn.SetDeadline(time.Now().Add(s.cfg.Limits.Handshake)) // before an abort may set another
	if err := s.enter(st); err != nil {
		return err
	}
	defer in.leave(st)
	s.logTurnedAway(in)
	if t, ok := conn.(*tls.Conn); ok {
		if err := t.HandshakeContext(ctx); err != nil {
			if !st.over.Load() {
				s.logf(1, mgmt.FlagWarning, "MANAGEMENT: connection from "+st.name+" refused: "+err.Error())
			}
			return errors.Join(ErrRefused, err)
		}
	}
	if !a.Dialed {
		s.logf(3, "", "MANAGEMENT: Client connected from "+st.name)
	}
	defer s.logLeft()
	defer st.logUnlogged()

	var writer sync.WaitGroup
	writer.Go(st.write)
	defer writer.Wait()
	defer st.finish()

	rest, err := st.login(ctx, a, &in.wrong)
	if err != nil {
		return err
	}
	in.leave(st)
	conn.SetDeadline(time.Time{})
	if closing, broken := st.out.state(); closing || broken { // meanwhile, and the deadline that would wake the reader was lifted with ours
		st.limitFlush()
		return ErrClosed
	}
	if err := s.attach(st); err != nil {
		s.logf(3, mgmt.FlagWarning, "MANAGEMENT: connection from "+st.name+" refused: "+err.Error())
		return err
	}
	defer func() { st.s.detach(st) }() // it may have moved
	select {
	case <-s.begun:
		st.read(rest)
	case <-s.done:
	case <-ctx.Done():
	}
	return nil
}

// logLeft logs the end of a session, unless it is ours.
func (s *Server) logLeft() {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		s.logf(3, "", "MANAGEMENT: Client disconnected")
	}
}

// attach greets a seat and shows it the pending prompts. One too many gets an error instead, and its session ends.
func (s *Server) attach(st *seat) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if !st.door.addSeat(s.cfg.Limits.Seats) {
		err := fmt.Errorf("%w: too many of them, the limit is %d", ErrRefused, s.cfg.Limits.Seats)
		st.reply(wire.Error + err.Error())
		return err
	}
	s.lastSeat++
	st.id, st.attached = s.lastSeat, true
	st.envFilter, st.version = s.envFilter, s.version
	s.seats = append(s.seats, st)
	s.push(st, essential, wire.AppendLine(nil, mgmt.KindInfo, s.greeting))
	for _, p := range s.prompts {
		s.push(st, essential, p.line(st))
	}
	return nil
}

// Greeting is the text of the INFO line for a management version.
func Greeting(version int) string {
	return "OpenVPN Management Interface Version " + string(appendInt(nil, version)) + " -- type 'help' for more info"
}

// detach ends a session: a block is dropped, half-given answers wait for who comes next, and after the last seat that can
// answer come management-forget-disconnect and management-signal.
func (s *Server) detach(st *seat) {
	s.mu.Lock()
	before := s.shortest()
	st.attached, st.block, st.every = false, nil, 0
	if i := slices.Index(s.seats, st); i >= 0 {
		s.seats = slices.Delete(s.seats, i, i+1)
		st.door.dropSeat()
	}
	for _, p := range s.prompts {
		if g := p.given[st]; g != nil {
			p.left.take(g)
			delete(p.given, st)
		}
	}
	for k, by := range s.answered {
		if by == st {
			delete(s.answered, k)
		}
	}
	for k, by := range s.decided {
		if by == st {
			delete(s.decided, k)
		}
	}
	last := st.role.CanAnswer() && !s.closed
	for _, other := range s.seats {
		last = last && !other.role.CanAnswer()
	}
	held := s.pending(askHold) != nil
	closed := s.closed
	s.mu.Unlock()
	if s.cfg.Relay != nil {
		if !closed {
			s.unsubscribe(st, before)
		}
		st.state, st.log, st.echo = false, false, false
	}
	if last && s.cfg.ForgetDisconnect {
		s.cfg.Controller.ForgetPasswords()
	}
	if last && s.cfg.SignalDisconnect && !held {
		s.cfg.Controller.Signal(mgmt.SIGUSR1, mgmt.ReasonDisconnect)
	}
}

// take fills what is missing or newer from g.
func (p *pair) take(g *pair) {
	if g.user != nil {
		p.user = g.user
	}
	if g.pass != nil {
		p.pass = g.pass
	}
}

// read takes commands until the session ends. rest came behind the password.
func (st *seat) read(rest []inputLine) {
	for _, l := range rest {
		if !st.line(l.text, l.long) {
			return
		}
	}
	buf := make([]byte, 4096)
	out := make([]byte, 0, 4096)
	for {
		n, err := st.conn.Read(buf)
		if n > 0 {
			st.out.begin()
			goOn := st.in.Feed(buf[:n], st.line)
			if goOn && err == nil {
				st.answer(out)
			}
			st.out.end()
			if !goOn {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// answer writes what the commands just read have queued, if it is little and nobody else is writing: waking the writer for
// each reply costs more than the reply.
func (st *seat) answer(buf []byte) {
	var took [classes]int
	b := st.out.take(buf, &took)
	if len(b) == 0 {
		return
	}
	if _, err := st.conn.Write(b); err != nil {
		st.out.fail()
		return
	}
	st.out.wrote(&took)
}

// waitRoom waits until the seat has read most of its replies.
func (st *seat) waitRoom() {
	if !st.out.full() {
		return
	}
	batch := st.out.end()
	for st.out.full() {
		<-st.out.room
	}
	if batch {
		st.out.begin()
	}
}

// line executes one line, and reports whether the session goes on. It first waits until the seat has read most of the
// replies to earlier ones.
func (st *seat) line(text string, long bool) bool {
	st.waitRoom()
	if closing, broken := st.out.state(); closing || broken {
		return false
	}
	if long {
		if !st.spoil(tooLong) {
			st.reply(wire.Error + tooLong)
		}
		return true
	}
	return st.execute(text)
}

// tooLong is why a line was dropped.
var tooLong = "line is longer than " + string(appendInt(nil, wire.MaxInput)) + " bytes"

// write moves the queue to the connection until its end.
func (st *seat) write() {
	buf := make([]byte, 0, 16<<10)
	var took [classes]int
	for {
		if _, broken := st.out.state(); broken {
			break
		}
		b := st.out.take(buf, &took)
		if len(b) == 0 {
			if st.out.done() {
				break
			}
			<-st.out.wake
			continue
		}
		if _, err := st.conn.Write(b); err != nil {
			st.out.fail()
			break
		}
		st.out.wrote(&took)
	}
	// Wakes a blocked read: the session is over, from whichever end.
	st.conn.SetReadDeadline(past)
}

// past is a deadline that wakes blocked reads and writes.
var past = time.Unix(1, 0)

// finish ends the seat after what is queued for it was written. A write that blocks already, because nobody reads, is given
// the flush limit too.
func (st *seat) finish() {
	st.out.finish()
	if st.ending.CompareAndSwap(false, true) && !st.over.Load() {
		st.limitFlush()
	}
}

func (st *seat) limitFlush() { st.conn.SetWriteDeadline(time.Now().Add(st.out.limits.Flush)) }

// abort ends the seat without waiting for anything: both directions wake up with an error.
func (st *seat) abort(why string) {
	if st.over.CompareAndSwap(false, true) {
		st.why = why
		close(st.gone)
		st.out.fail()
		st.conn.SetDeadline(past)
	}
}

// hangUp closes the connection. A TLS goodbye is not waited for when nobody reads.
func (st *seat) hangUp() {
	if st.over.Load() {
		if st.why != "" {
			st.s.logf(1, mgmt.FlagWarning, "MANAGEMENT: connection from "+st.name+" closed: "+st.why)
		}
		if t, ok := st.conn.(*tls.Conn); ok {
			t.NetConn().Close()
			return
		}
	} else {
		st.linger()
	}
	st.conn.Close()
}

// lingerPause is how long a client that is let go must be silent before its connection is closed.
const lingerPause = 10 * time.Millisecond

// linger takes in what the client still sends, up to the flush limit: closing a connection with unread input makes the
// kernel throw away what we wrote last. The client learns of the end meanwhile.
func (st *seat) linger() {
	half, ok := st.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	raw := st.conn
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	end := time.Now().Add(st.out.limits.Flush)
	buf := make([]byte, 4096)
	for now := time.Now(); now.Before(end); now = time.Now() {
		raw.SetReadDeadline(now.Add(lingerPause))
		if _, err := raw.Read(buf); err != nil {
			return
		}
	}
}

// reply queues a line for the seat alone.
func (st *seat) reply(line string) {
	st.out.push(reply, append([]byte(line), '\r', '\n'))
}

// peerName is how log lines name the other end; a unix socket's is the path it came through, as the peer has none.
func peerName(conn net.Conn) string {
	switch a := conn.RemoteAddr().(type) {
	case *net.TCPAddr:
		if a.IP.To4() != nil {
			return "[AF_INET]" + a.String()
		}
		return "[AF_INET6]" + a.IP.String() + ":" + string(appendInt(nil, a.Port))
	case *net.UnixAddr:
		return conn.LocalAddr().String()
	}
	return conn.RemoteAddr().String()
}
