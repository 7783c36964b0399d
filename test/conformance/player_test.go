//go:build linux

package conformance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// player plays a scenario in an arena.
type player struct {
	*arena
	sessions map[int]*session
	peer     *session // of the peer's port
	request  string   // the last signature request, unmasked
	client   string   // what the last line about a client began with, behind the log's flags
	said     []string // the transcript
}

// play performs all steps and returns what was said. An error ends the transcript early; it is its last line too.
func (a *arena) play() ([]string, error) {
	p := &player{arena: a, sessions: make(map[int]*session)}
	defer func() {
		for _, s := range p.sessions {
			s.conn.Close()
		}
		if p.peer != nil {
			p.peer.conn.Close()
		}
	}()
	for _, st := range a.s.steps {
		if err := p.step(st); err != nil {
			err = fmt.Errorf("line %d, %s: %w", st.line, strings.TrimSpace(st.verb+" "+st.arg), err)
			p.said = append(p.said, "<"+err.Error()+">")
			return p.said, err
		}
	}
	return p.said, nil
}

func (p *player) step(st step) error {
	switch st.verb {
	case "start":
		return p.start("daemon")
	case "start peer":
		return p.start("peer" + strconv.Itoa(st.n))
	case "stop peer":
		return p.stopPeer("peer" + strconv.Itoa(st.n))
	case "attach":
		return p.attach(st.n)
	case "exit":
		status, err := p.procs["daemon"].wait(patience)
		p.said = append(p.said, fmt.Sprintf("<exit %d>", status))
		return err
	case "signal":
		sig, ok := signals[st.arg]
		if !ok {
			return errors.New("no such signal")
		}
		time.Sleep(atRest) // stock forgets a signal that comes while it writes a line about what it has just begun
		p.said = append(p.said, "<signal "+st.arg+">")
		err := p.procs["daemon"].cmd.Process.Signal(sig)
		if errors.Is(err, os.ErrProcessDone) {
			err = nil // behind an either
		}
		return err
	case "log":
		return p.waitLog(st.arg)
	case "P", "pwait", "ppoll":
		return p.peerStep(st)
	}
	s := p.sessions[st.n]
	if s == nil {
		return errors.New("not attached")
	}
	switch st.verb {
	case "C":
		return p.send(st.n, s, st.arg+"\n", st.arg)
	case "R":
		return p.send(st.n, s, st.arg, strconv.Quote(st.arg))
	case "wait":
		return p.wait(st.n, s, patience, st.arg)
	case "either":
		if err := p.wait(st.n, s, silence, st.arg, closed); !errors.Is(err, errSilence) {
			return err
		}
		return nil
	case "end":
		return p.wait(st.n, s, patience, closed)
	case "detach":
		delete(p.sessions, st.n)
		p.said = append(p.said, tag(st.n, "<detach>"))
		return s.conn.Close()
	case "poll":
		return p.poll(st.n, s, st.arg)
	case "file":
		text, err := os.ReadFile(filepath.Join(p.dir, st.arg))
		if err != nil {
			return err
		}
		return p.send(st.n, s, string(text), "<file "+st.arg+">")
	case "sign":
		sig, err := p.sign()
		if err != nil {
			return err
		}
		return p.send(st.n, s, st.arg+"\n"+sig+"\nEND\n", st.arg+" <signature> END")
	}
	return errors.New("no such step")
}

const atRest = 200 * time.Millisecond

var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT,
}

// tag marks the lines of further connections.
func tag(n int, line string) string {
	if n == 1 {
		return line
	}
	return strconv.Itoa(n) + "| " + line
}

func (p *player) attach(n int) error {
	if p.accept != nil {
		if p.procs["daemon"] == nil {
			if err := p.start("daemon"); err != nil {
				return err
			}
		}
		_ = p.accept.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(patience))
		conn, err := p.accept.Accept()
		if err != nil {
			return err
		}
		p.sessions[n] = newSession(conn)
		return nil
	}
	if p.procs["daemon"] == nil {
		if err := p.start("daemon"); err != nil {
			return err
		}
	}
	address := p.address
	if p.mux != nil {
		if err := p.mux.ready(); err != nil {
			return err
		}
		address = p.mux.address
	}
	s, err := dialPort(address, p.procs["daemon"].done)
	if err != nil {
		return err
	}
	p.sessions[n] = s
	return nil
}

func (p *player) send(n int, s *session, bytes, shown string) error {
	p.said = append(p.said, tag(n, "> "+shown))
	// A daemon that is gone shows by what it says, or does not say.
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := s.conn.Write([]byte(bytes))
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// wait takes lines up to one that begins with one of texts, masked.
func (p *player) wait(n int, s *session, limit time.Duration, texts ...string) error {
	over := time.After(limit)
	var taken []string
	for {
		line, err := s.next(over)
		if err == nil {
			p.remember(line)
			line = p.mask(p.named(line))
			taken = append(taken, line)
		}
		found := slices.ContainsFunc(texts, func(text string) bool { return strings.HasPrefix(plain(line), text) })
		if err != nil || line == closed || found {
			for _, l := range settle(steady(taken)) {
				p.said = append(p.said, tag(n, l))
			}
			if err == nil && !found {
				err = errors.New("the daemon closed the connection")
			}
			return err
		}
	}
}

// plain is a masked line as steps name it, which follow 2.6: without the kind of socket in front of addresses.
func plain(line string) string {
	if !strings.Contains(line, "udp") && !strings.Contains(line, "tcp") {
		return line
	}
	return kindOfSocket.ReplaceAllString(line, "$1")
}

var kindOfSocket = regexp.MustCompile(`\b(?:udp[46]|tcp[46]-server):(\[?[0-9a-f]+[.:])`)

// mask prepares a line for comparison.
func (a *arena) mask(line string) string {
	if line = mask(line); a.release == "2.7" {
		line = pause.ReplaceAllString(line, "$1<n>")
	}
	return line
}

// pause is what 2.7.8 says two seconds about whatever connect-retry says, where we follow the option.
var pause = regexp.MustCompile(`(>HOLD:Waiting for hold release:|Restart pause, )[1-9]\d*`)

// named gives a line of stock's server about a client's data channel the client's name. Stock leaves it out when the clock turns to
// another second while it works on a packet of the client: it then sets the data channel up outside of the packet's turn.
func (p *player) named(line string) string {
	if p.s.daemon != "server" || p.program[0] != p.stock {
		return line
	}
	if m := clientLine.FindStringSubmatch(line); m != nil {
		p.client = m[1]
	}
	return bareLine.ReplaceAllString(line, "${1}"+p.client+"$2")
}

var (
	clientLine = regexp.MustCompile(`^>LOG:\d+,\w*,([^ /]+/[^ ]+:\d+ )`)
	bareLine   = regexp.MustCompile(`^(>LOG:\d+,,)(Data Channel: |Timers: |Protocol options: )`)
)

func TestNamed(t *testing.T) {
	const about, whole, bare = ">LOG:1795409019,,client1/10.99.0.2:4001 SENT CONTROL", ">LOG:1795409019,,client1/10.99.0.2:4001 Timers: ping 10", ">LOG:1795409019,,Timers: ping 10"
	for _, c := range []struct {
		name, base, program string
		before              []string
		want                string
	}{
		{"stock's server", "server", "stock", []string{about}, whole},
		{"before the client has a name", "server", "stock", nil, bare},
		{"a client has no names", "client", "stock", []string{about}, bare},
		{"ours leaves nothing out", "server", "ours", []string{about}, bare},
	} {
		p := &player{arena: &arena{s: &scenario{daemon: c.base}, program: []string{c.program}, stock: "stock"}}
		for _, line := range c.before {
			p.named(line)
		}
		if got := p.named(bare); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if got := p.named(whole); got != whole {
			t.Errorf("%s: %q became %q", c.name, whole, got)
		}
	}
}

func (p *player) remember(line string) {
	if strings.HasPrefix(line, ">PK_SIGN:") || strings.HasPrefix(line, ">RSA_SIGN:") {
		_, p.request, _ = strings.Cut(line, ":")
	}
}

// poll asks until the answer is the wanted one. Notifications that come meanwhile stay in the transcript.
func (p *player) poll(n int, s *session, arg string) error {
	return p.pollOn(s, arg, func(line string) {
		p.remember(line)
		p.said = append(p.said, tag(n, p.mask(p.named(line))))
	})
}

func (p *player) pollOn(s *session, arg string, notification func(string)) error {
	cmd, want, ok := strings.Cut(arg, " => ")
	if !ok {
		return errors.New("poll needs CMD => TEXT")
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err := s.conn.Write([]byte(cmd + "\n")); err != nil {
			return err
		}
		limit := time.After(patience)
		for found := false; ; {
			line, err := s.next(limit)
			if err != nil {
				return err
			}
			if line == closed {
				return errors.New("the daemon closed the connection")
			}
			if strings.HasPrefix(line, ">") {
				notification(line)
				continue
			}
			found = found || strings.Contains(line, want)
			if line == "END" || strings.HasPrefix(line, "SUCCESS: ") || strings.HasPrefix(line, "ERROR: ") {
				if found {
					return nil
				}
				break
			}
		}
	}
	return fmt.Errorf("%q never came", want)
}

// sign answers the last request by the key of the client's certificate, or the RSA one.
func (p *player) sign() (string, error) {
	data, algorithm, _ := strings.Cut(p.request, ",")
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return "", fmt.Errorf("request %q: %w", p.request, err)
	}
	name := "client.key"
	if strings.HasPrefix(algorithm, "RSA") {
		name = "rsa.key"
	}
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", err
	}
	if strings.Contains(algorithm, "data=message") {
		sum := sha256.Sum256(raw)
		raw = sum[:]
	}
	var sig []byte
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		sig, err = ecdsa.SignASN1(rand.Reader, key, raw)
	case *rsa.PrivateKey:
		sig, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, raw, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return base64.StdEncoding.EncodeToString(sig), err
}

// waitLog waits for a text in the daemon's log.
func (p *player) waitLog(text string) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		log, err := os.ReadFile(p.procs["daemon"].log)
		if err != nil {
			return err
		}
		if strings.Contains(string(log), text) {
			return nil
		}
	}
	return errors.New("not in the log")
}

// stopPeer ends a peer as an administrator would.
func (p *player) stopPeer(name string) error {
	proc := p.procs[name]
	if err := proc.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_, err := proc.wait(patience)
	return err
}

// peerStep talks to the port of the first peer. What it says is not compared: the peer is always the stock daemon.
func (p *player) peerStep(st step) error {
	name := "peer" + strconv.Itoa(st.n)
	if p.peer == nil {
		if p.procs[name] == nil {
			if err := p.start(name); err != nil {
				return err
			}
		}
		s, err := dialPort(filepath.Join(p.dir, name+".sock"), p.procs[name].done)
		if err != nil {
			return err
		}
		p.peer = s
	}
	if st.verb == "ppoll" {
		return p.pollOn(p.peer, st.arg, func(string) {})
	}
	if st.verb == "P" {
		_, err := p.peer.conn.Write([]byte(st.arg + "\n"))
		return err
	}
	limit := time.After(patience)
	for {
		line, err := p.peer.next(limit)
		if err != nil {
			return err
		}
		if strings.HasPrefix(plain(p.mask(line)), st.arg) {
			return nil
		}
		if line == closed {
			return errors.New("the peer closed its port")
		}
	}
}
