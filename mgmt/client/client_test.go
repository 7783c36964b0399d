package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const greeting = ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n"

// connect starts serve on one end of a pipe and a client on the other.
func connect(t *testing.T, o client.Options, serve func(conn net.Conn, in *bufio.Reader)) (*client.Client, error) {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer there.Close()
		serve(there, bufio.NewReader(there))
	}()
	c, err := client.New(t.Context(), here, o)
	t.Cleanup(func() {
		if c != nil {
			c.Close()
		}
		there.Close()
		<-done
	})
	return c, err
}

// scripted answers each received line with the text in replies, written in pieces of n bytes.
func scripted(n int, head string, replies map[string]string) func(net.Conn, *bufio.Reader) {
	write := func(conn net.Conn, s string) {
		for len(s) > 0 {
			k := min(n, len(s))
			if _, err := conn.Write([]byte(s[:k])); err != nil {
				return
			}
			s = s[k:]
		}
	}
	return func(conn net.Conn, in *bufio.Reader) {
		write(conn, head)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			write(conn, replies[strings.TrimSuffix(line, "\n")])
		}
	}
}

func TestRepliesAndNotificationsAtEverySplit(t *testing.T) {
	replies := map[string]string{
		"pid":        ">LOG:1,D,MANAGEMENT: CMD 'pid'\r\nSUCCESS: pid=17\r\n",
		"state":      "1795409019,CONNECTING,,,,,,\r\n>HOLD:Waiting for hold release:0\r\nEND\r\n",
		"log on all": "SUCCESS: real-time log notification set to ON\r\n5,I,ERROR: only text\r\n6,,>no notification? it is one\r\nEND\r\n",
		"status 9":   "ERROR: bad status format version number\r\n",
		"auth-retry x": "--auth-retry method must be 'interact', 'nointeract', or 'none'\r\n" +
			"ERROR: bad auth-retry parameter\r\n",
		"kill c": ">CLIENT:DISCONNECT,0\r\n>CLIENT:ENV,a=b=c\r\n>LOG:1,,in between\r\n>CLIENT:ENV,END\r\n" +
			"SUCCESS: common name 'c' found, 1 client(s) killed\r\n",
		"pkcs11-id-count": ">PKCS11ID-COUNT:3\r\n",
		"test 2":          "[0] x\r\n[1] x\r\n",
		"frob":            "ERROR: unknown command, enter 'help' for more options\r\n",
		"help":            "Management Interface for X\r\nCommands:\r\nEND\r\n",
	}
	wantRaw := map[string][]string{
		"pid":             {"SUCCESS: pid=17"},
		"state":           {"1795409019,CONNECTING,,,,,,", "END"},
		"log on all":      {"SUCCESS: real-time log notification set to ON", "5,I,ERROR: only text", "6,,>no notification? it is one", "END"},
		"status 9":        {"ERROR: bad status format version number"},
		"auth-retry x":    {"--auth-retry method must be 'interact', 'nointeract', or 'none'", "ERROR: bad auth-retry parameter"},
		"kill c":          {"SUCCESS: common name 'c' found, 1 client(s) killed"},
		"pkcs11-id-count": {">PKCS11ID-COUNT:3"},
		"test 2":          {"[0] x", "[1] x"},
		"frob":            {"ERROR: unknown command, enter 'help' for more options"},
		"help":            {"Management Interface for X", "Commands:", "END"},
		"version 3":       nil,
		"":                nil,
		"# comment":       nil,
	}
	order := []string{"pid", "", "state", "version 3", "log on all", "status 9", "# comment", "auth-retry x", "kill c", "pkcs11-id-count", "test 2", "frob", "help"}
	wantNotes := []client.Notification{
		{Kind: "HOLD", Text: "Waiting for hold release:0"}, // with the greeting
		{Kind: "LOG", Text: "1,D,MANAGEMENT: CMD 'pid'"},
		{Kind: "HOLD", Text: "Waiting for hold release:0"},
		{Kind: "LOG", Text: "1,,in between"},
		{Kind: "CLIENT", Text: "DISCONNECT,0", Env: []string{"a=b=c"}},
	}
	for _, n := range []int{1, 2, 3, 5, 7, 13, 64, 4096} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c, err := connect(t, client.Options{}, scripted(n, greeting+">HOLD:Waiting for hold release:0\r\n", replies))
			if err != nil {
				t.Fatal(err)
			}
			for _, cmd := range order {
				r, err := c.Cmd(t.Context(), cmd)
				if diff := cmp.Diff(wantRaw[cmd], r.Raw); diff != "" {
					t.Errorf("%q (-want +got):\n%s", cmd, diff)
				}
				isError := len(r.Raw) > 0 && strings.HasPrefix(r.Raw[len(r.Raw)-1], "ERROR: ")
				var re *client.ReplyError
				if errors.As(err, &re) != isError || !isError && err != nil {
					t.Errorf("%q: error %v", cmd, err)
				}
			}
			sub := c.Subscribe()
			for _, want := range wantNotes {
				got, err := sub.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("notification (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestPassword(t *testing.T) {
	dialogue := func(conn net.Conn, in *bufio.Reader) {
		for range 3 {
			conn.Write([]byte("ENTER PASSWORD:"))
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line == "s3cret\n" {
				conn.Write([]byte("SUCCESS: password is correct\r\n" + greeting))
				in.ReadString('\n')
				return
			}
		}
	}
	password := func(s string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return s, nil }
	}
	for _, tt := range []struct {
		name string
		pw   func(context.Context) (string, error)
		want error
	}{
		{"right", password("s3cret"), nil},
		{"wrong", password("guess"), client.ErrPassword},
		{"none", nil, client.ErrPassword},
		{"line end inside", password("s3cret\npid"), client.ErrPassword},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := connect(t, client.Options{Password: tt.pw}, dialogue)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if c != nil && c.Version() != 5 {
				t.Errorf("version %d, want 5", c.Version())
			}
		})
	}
}

func TestSilentPort(t *testing.T) {
	_, err := connect(t, client.Options{GreetingTimeout: 30 * time.Millisecond}, func(_ net.Conn, in *bufio.Reader) { in.ReadByte() })
	if !errors.Is(err, client.ErrNoGreeting) || !strings.Contains(err.Error(), "another program holds the port?") {
		t.Fatalf("error %v", err)
	}
}

func TestOtherProtocol(t *testing.T) {
	for _, s := range []string{"SSH-2.0-OpenSSH_9\r\n", strings.Repeat("x", 5000)} {
		_, err := connect(t, client.Options{}, func(conn net.Conn, _ *bufio.Reader) { conn.Write([]byte(s)) })
		if !errors.Is(err, client.ErrNotManagement) {
			t.Errorf("%.20q: error %v", s, err)
		}
	}
}

func TestLateReplyKeepsItsPlace(t *testing.T) {
	release := make(chan struct{})
	c, err := connect(t, client.Options{ReplyTimeout: 30 * time.Millisecond}, func(conn net.Conn, in *bufio.Reader) {
		conn.Write([]byte(greeting))
		in.ReadString('\n')
		<-release
		in.ReadString('\n')
		conn.Write([]byte("SUCCESS: pid=1\r\nSUCCESS: verb=3\r\n"))
		in.ReadString('\n')
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Cmd(t.Context(), "pid"); !errors.Is(err, client.ErrTimeout) {
		t.Fatalf("error %v, want a timeout", err)
	}
	close(release)
	if n, err := c.Verb(t.Context()); err != nil || n != 3 {
		t.Fatalf("verb %d, %v: the late reply was taken for it", n, err)
	}
}

func TestRefusedBlockStaysInStep(t *testing.T) {
	unknown := "ERROR: unknown command, enter 'help' for more options\r\n"
	c, err := connect(t, client.Options{}, scripted(100, greeting, map[string]string{
		"certificate": "ERROR: The certificate command is not currently available\r\n",
		"-----BEGIN":  unknown, "END": unknown,
		"pid": "SUCCESS: pid=4\r\n", "verb": "SUCCESS: verb=2\r\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Block(t.Context(), "certificate", []string{"-----BEGIN", ""})
	var re *client.ReplyError
	if !errors.As(err, &re) || re.Text != "The certificate command is not currently available" {
		t.Fatalf("error %v", err)
	}
	if n, err := c.Verb(t.Context()); err != nil || n != 2 {
		t.Fatalf("verb %d, %v", n, err)
	}
}

// However a command is refused, what is asked next gets its own answer.
func TestRefusalsStayInStep(t *testing.T) {
	for line, refusal := range map[string]string{
		"push-update-broad x":     "the 'push-update-broad' command is not permitted here, it needs the role admin",
		"push-update-cid 1 x":     "the 'push-update-cid' command is not permitted here, it needs the role admin",
		"push-update-cid 1":       "the 'push-update-cid' command requires 2 parameters",
		`push-update-broad "x`:    `Options error: No closing quotation (") in TCP:0`,
		"network-change":          "the 'network-change' command is not permitted here, it needs the role operate",
		"reload":                  "the 'reload' command is not permitted here, it needs the role admin",
		"remote-entry-get all":    "The 'remote-entry-get' command is not supported by the current daemon mode",
		"client-pending-auth 1 1": "the 'client-pending-auth' command requires 4 parameters",
	} {
		c, err := connect(t, client.Options{ReplyTimeout: time.Second}, scripted(100, greeting, map[string]string{
			line: "ERROR: " + refusal + "\r\n", "verb": "SUCCESS: verb=2\r\n",
		}))
		if err != nil {
			t.Fatal(err)
		}
		var re *client.ReplyError
		if _, err := c.Cmd(t.Context(), line); !errors.As(err, &re) || re.Text != refusal {
			t.Errorf("%s: error %v", line, err)
		}
		if n, err := c.Verb(t.Context()); err != nil || n != 2 {
			t.Errorf("after %s: verb %d, %v", line, n, err)
		}
	}
}

// The lines of test are counted, also more of them than a reply keeps.
func TestCountedLinesStayInStep(t *testing.T) {
	for line, n := range map[string]int{"test -3": 0, "test 3x": 3, "test 1100000": 1_100_000} {
		c, err := connect(t, client.Options{}, scripted(4096, greeting, map[string]string{
			line: strings.Repeat("x\r\n", n), "verb": "SUCCESS: verb=2\r\n",
		}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Cmd(t.Context(), line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if n, err := c.Verb(t.Context()); err != nil || n != 2 {
			t.Errorf("after %s: verb %d, %v", line, n, err)
		}
	}
}

func TestLinesTheDaemonCannotRead(t *testing.T) {
	c, err := connect(t, client.Options{}, scripted(100, greeting, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []string{"pid\nsignal SIGTERM", "hold\ton", strings.Repeat("x", 1024), "client-auth 1 1"} {
		if _, err := c.Cmd(t.Context(), l); !errors.Is(err, client.ErrLine) {
			t.Errorf("%.20q: error %v, want ErrLine", l, err)
		}
	}
	if _, err := c.Block(t.Context(), "client-auth 1 1", []string{"push x", "END"}); !errors.Is(err, client.ErrLine) {
		t.Errorf("END in a block: error %v", err)
	}
}

func TestLostInTheMiddle(t *testing.T) {
	c, err := connect(t, client.Options{}, func(conn net.Conn, in *bufio.Reader) {
		conn.Write([]byte(greeting))
		in.ReadString('\n')
		conn.Write([]byte("TITLE,half a rep"))
	})
	if err != nil {
		t.Fatal(err)
	}
	sub := c.Subscribe()
	if _, err := c.Cmd(t.Context(), "status"); !errors.Is(err, client.ErrLost) {
		t.Errorf("error %v, want ErrLost", err)
	}
	if _, err := sub.Next(t.Context()); !errors.Is(err, client.ErrLost) {
		t.Errorf("subscription: error %v, want ErrLost", err)
	}
	if _, err := c.Cmd(t.Context(), "pid"); !errors.Is(err, client.ErrLost) {
		t.Errorf("afterwards: error %v, want ErrLost", err)
	}
}

func TestFullQueueDropsLogsFirst(t *testing.T) {
	c, err := connect(t, client.Options{}, func(conn net.Conn, in *bufio.Reader) {
		conn.Write([]byte(greeting))
		in.ReadString('\n')
		for i := range 6 {
			fmt.Fprintf(conn, ">LOG:%d,,x\r\n>STATE:%d,WAIT,,,,,,\r\n", i, i)
		}
		conn.Write([]byte("SUCCESS: pid=1\r\n"))
		in.ReadString('\n')
	})
	if err != nil {
		t.Fatal(err)
	}
	sub := c.SubscribeQueue(7)
	if _, err := c.PID(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		n, ok := sub.TryNext()
		if !ok {
			break
		}
		got = append(got, n.Kind+n.Text[:1])
	}
	want := []string{"STATE0", "STATE1", "STATE2", "STATE3", "STATE4", "LOG5", "STATE5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if sub.Dropped() != 5 {
		t.Errorf("dropped %d, want 5", sub.Dropped())
	}
}

func TestTraceHasNoSecrets(t *testing.T) {
	var lines []string
	c, err := connect(t, client.Options{Trace: func(in bool, l string) { lines = append(lines, l) }},
		scripted(100, greeting, map[string]string{`password Auth "hun ter2"`: "SUCCESS: ok\r\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), "password", "Auth", "hun ter2"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	want := []string{strings.TrimSuffix(greeting, "\r\n"), "password Auth [...]", "SUCCESS: ok"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
