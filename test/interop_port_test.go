//go:build linux

package test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// portArgs are the options of a client that does nothing but hold, with a management port.
func (l *lab) portArgs(management ...string) []string {
	return append([]string{
		"--client", "--dev", "null", "--nobind", "--remote", "127.0.0.1", "1", "--verb", "3", "--management-hold",
		"--ca", l.file("ca.crt"), "--cert", l.file("client.crt"), "--key", l.file("client.key"), "--management",
	}, management...)
}

// portLines are the lines of a log about the port and the end, without times.
func portLines(log string) []string {
	var out []string
	for _, line := range errorLines(log) {
		for _, word := range []string{"MANAGEMENT: ", "Exiting", "exiting", "Options error", "Use --help", "cannot stat"} {
			if strings.Contains(line, word) && !strings.Contains(line, "CMD") {
				out = append(out, line)
				break
			}
		}
	}
	return out
}

// portSession is a connection to a port from inside a namespace.
type portSession struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func session(t *testing.T, conn net.Conn) *portSession {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(upLimit))
	return &portSession{t, conn, bufio.NewReader(conn)}
}

// dialPort connects as soon as somebody listens.
func dialPort(t *testing.T, n *daemontest.Namespace, network, addr string) *portSession {
	t.Helper()
	var conn net.Conn
	waitFor(t, "a port at "+addr, func() bool {
		n.Do(t, func() error {
			conn, _ = net.DialTimeout(network, addr, time.Second)
			return nil
		})
		return conn != nil
	})
	return session(t, conn)
}

func (s *portSession) send(lines ...string) {
	s.t.Helper()
	for _, l := range lines {
		if _, err := io.WriteString(s.conn, l+"\n"); err != nil {
			s.t.Fatal(err)
		}
	}
}

// until reads up to a line with the prefix and returns it.
func (s *portSession) until(prefix string) string {
	s.t.Helper()
	var all []string
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			s.t.Fatalf("waiting for %q: %v after %q", prefix, err, all)
		}
		line = strings.TrimRight(line, "\r\n")
		if all = append(all, line); strings.HasPrefix(line, prefix) {
			return line
		}
	}
}

// rest is everything up to the end of the session.
func (s *portSession) rest() string {
	s.t.Helper()
	b, err := io.ReadAll(s.r)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		s.t.Fatalf("waiting for the end: %v after %q", err, b)
	}
	return string(b)
}

// The ways to have no port: both daemons say the same and exit with the same status.
func TestPortThatCannotBe(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var taken net.Listener
	l.client.Do(t, func() (err error) {
		taken, err = net.Listen("tcp", "127.0.0.1:7001")
		return err
	})
	defer taken.Close()
	for name, management := range map[string][]string{
		"address in use":    {"127.0.0.1", "7001"},
		"foreign address":   {"192.0.2.1", "7001"},
		"no password file":  {"127.0.0.1", "7002", l.file("nothing")},
		"no directory":      {l.file("nothing") + "/sock", "unix"},
		"no program, unix":  {l.file("nothing"), "unix", "--management-client"},
		"no program, tcp":   {"127.0.0.1", "7003", "--management-client"},
		"credentials on ip": {"127.0.0.1", "7004", "--management-client-user", "root"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := stock(t, l.client, l.portArgs(management...)), ours(t, l.client, l.portArgs(management...))
			theirs, mine := a.Wait(t, upLimit), b.Wait(t, upLimit)
			if theirs != mine {
				t.Errorf("exit status %d, stock %d", mine, theirs)
			}
			want, got := portLines(a.Log()), portLines(b.Log())
			for i := range want { // stock says what its connect() said first, not what became of it
				want[i] = strings.ReplaceAll(want[i], "Operation now in progress (errno=115)", "Connection refused (errno=111)")
				want[i] = strings.ReplaceAll(want[i], "Socket bind[4]", "Socket bind[3]") // the descriptor's number is as it comes
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-stock +ours):\n%s", diff)
			}
		})
	}
}

// Where a port listens, as both say, and who is let in there.
func TestPortListens(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.write(t, "password", []byte("se same\nsecond line\n"))
	digits := regexp.MustCompile(`:\d+$`)
	for name, tt := range map[string]struct{ host, port, line string }{
		"ipv4":      {"127.0.0.1", "7101", "MANAGEMENT: TCP Socket listening on [AF_INET]127.0.0.1:7101"},
		"ipv6":      {"::1", "7102", "MANAGEMENT: TCP Socket listening on [AF_INET6]::1:7102"},
		"port zero": {"127.0.0.1", "0", "MANAGEMENT: TCP Socket listening on [AF_INET]127.0.0.1"},
		"a name":    {"localhost", "7103", "MANAGEMENT: TCP Socket listening on [AF_INET]127.0.0.1:7103"},
	} {
		t.Run(name, func(t *testing.T) {
			said := map[string]string{}
			for who, start := range compared {
				d := start(t, l.client, l.portArgs(tt.host, tt.port, l.file("password")))
				line := d.WaitLine(t, tt.line, upLimit)
				port := digits.FindString(line)
				if tt.port != "0" && port != ":"+tt.port || port == ":0" {
					t.Errorf("%s: %s", who, line)
				}
				addr := net.JoinHostPort(tt.host, port[1:])
				s := dialPort(t, l.client, "tcp", addr)
				s.send("se same\r") // the whole first line of the file, blanks and all
				s.until("ENTER PASSWORD:SUCCESS: password is correct")
				s.until(">INFO:OpenVPN Management Interface Version 5")
				s.until(">HOLD:Waiting for hold release:0")
				s.send("quit")
				said[who] = s.rest()
				// The next one guesses, one line at a time: no word about it but the question, and the third ends it.
				s = dialPort(t, l.client, "tcp", addr)
				for _, guess := range []string{"se", "SE SAME", "second line"} {
					if q, err := s.r.Peek(len("ENTER PASSWORD:")); err != nil || string(q) != "ENTER PASSWORD:" {
						t.Fatalf("%s: question %q, %v", who, q, err)
					}
					_, _ = s.r.Discard(len("ENTER PASSWORD:"))
					s.send(guess)
				}
				said[who] += "|" + s.rest()
				terminate(t, d)
			}
			if said["stock"] != said["ours"] || said["ours"] != "|" {
				t.Errorf("sessions end with %q, stock's with %q", said["ours"], said["stock"])
			}
		})
	}
}

// A socket that a killed daemon left behind is no obstacle. A file is, unlike for stock, which deletes it.
func TestPortSocketLeftBehind(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for who, start := range compared {
		path := l.file(who + ".sock")
		first := start(t, l.client, l.portArgs(path, "unix"))
		s := dialPort(t, l.client, "unix", path)
		s.until(">HOLD:")
		first.Signal(t, syscall.SIGKILL)
		first.Wait(t, upLimit)
		if st, err := os.Lstat(path); err != nil || st.Mode()&os.ModeSocket == 0 {
			t.Fatalf("%s left no socket behind: %v, %v", who, st, err)
		}
		second := start(t, l.client, l.portArgs(path, "unix"))
		second.WaitLine(t, "MANAGEMENT: unix domain socket listening on "+path, upLimit)
		dialPort(t, l.client, "unix", path).until(">HOLD:")
		terminate(t, second)
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s leaves its socket behind at a clean exit: %v", who, err)
		}
	}
	precious := l.write(t, "precious", []byte("not a socket"))
	d := ours(t, l.client, l.portArgs(precious, "unix"))
	if code := d.Wait(t, upLimit); code != 1 {
		t.Errorf("exit status %d with a file in the way", code)
	}
	if b, err := os.ReadFile(precious); string(b) != "not a socket" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

// management-client: the daemon calls a program, and ends when that leaves.
func TestPortThatCalls(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, network := range []string{"tcp", "unix"} {
		for _, leave := range []string{"quit", "close", "SIGTERM"} {
			t.Run(network+" "+leave, func(t *testing.T) {
				logs := map[string][]string{}
				for who, start := range compared {
					addr, management := "127.0.0.1:7201", []string{"127.0.0.1", "7201", "--management-client"}
					if network == "unix" {
						addr = l.file(strings.ReplaceAll(t.Name(), "/", "-") + who)
						management = []string{addr, "unix", "--management-client"}
					}
					var ln net.Listener
					l.client.Do(t, func() (err error) {
						ln, err = net.Listen(network, addr)
						return err
					})
					d := start(t, l.client, l.portArgs(management...))
					conn, err := ln.Accept()
					ln.Close()
					if err != nil {
						t.Fatal(err)
					}
					s := session(t, conn)
					s.until(">INFO:")
					s.until(">HOLD:")
					switch leave {
					case "close":
						conn.Close()
					case "quit":
						s.send("quit")
						s.rest()
					default:
						s.send("signal SIGTERM")
						s.until("SUCCESS: signal SIGTERM thrown")
						s.rest()
					}
					if code := d.Wait(t, upLimit); code != 0 {
						t.Errorf("%s: exit status %d", who, code)
					}
					logs[who] = portLines(strings.ReplaceAll(d.Log(), addr, "ADDR"))
				}
				if diff := cmp.Diff(logs["stock"], logs["ours"]); diff != "" {
					t.Errorf("(-stock +ours):\n%s", diff)
				}
			})
		}
	}
}

// The port inside a server's tunnel is there while the tunnel is, on the port that was asked for (stock takes any), and
// reached by clients. Nothing can be held.
func TestPortInTheTunnel(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("persist-tun=%v", keep), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			options := []string{"--management", "tunnel", "7505", "--management-hold"}
			if keep {
				options = append(options, "--persist-tun")
			}
			d := l.ourServer(t, options...)
			const listening = "MANAGEMENT: TCP Socket listening on [AF_INET]10.8.0.1:7505"
			d.WaitLine(t, listening, upLimit)
			l.stockClient(t, "--keepalive", "1", "20")
			s := dialPort(t, l.client, "tcp", "10.8.0.1:7505")
			s.until(">INFO:")
			s.send("state all", "hold")
			if line := s.until(""); !strings.Contains(line, ",ASSIGN_IP,,10.8.0.1,") {
				t.Errorf("the first state is %q", line)
			}
			s.until("END")
			s.until("SUCCESS: hold=0")
			lines := d.Lines()
			d.Signal(t, syscall.SIGUSR1)
			d.WaitLineAfter(t, lines, up, upLimit)
			d.WaitLineAfter(t, lines, listening, upLimit)
			terminate(t, d)
			if out := l.server.Run(t, "ss", "-Hltn"); strings.Contains(out, "7505") {
				t.Errorf("still listening:\n%s", out)
			}
		})
	}
}
