package repl

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/hinshun/vt10x"

	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// TestMain runs the prompt itself when the test starts its own binary on a pseudo-terminal.
func TestMain(m *testing.M) {
	if addr := os.Getenv("REPL_ADDR"); addr != "" {
		c, err := client.Dial(context.Background(), addr, client.Options{})
		if err == nil {
			err = Run(context.Background(), c, Options{HistoryFile: os.Getenv("REPL_HISTORY")})
			c.Close()
		}
		fmt.Printf("ended: %v\n", err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// terminal is a prompt on a pseudo-terminal with a model of its screen.
type terminal struct {
	t   *testing.T
	pty *os.File
	vt  vt10x.Terminal
}

func open(t *testing.T, addr, history string) *terminal {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REPL_ADDR="+addr, "REPL_HISTORY="+history, "TERM=xterm-256color")
	p, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, pty: p, vt: vt10x.New(vt10x.WithSize(100, 40))}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := p.Read(buf)
			x.vt.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		p.Close()
		<-done
	})
	return x
}

func (x *terminal) write(s string) {
	x.t.Helper()
	if _, err := x.pty.WriteString(s); err != nil {
		x.t.Fatal(err)
	}
}

// lines are the rows of the screen without trailing blanks.
func (x *terminal) lines() []string {
	var out []string
	for l := range strings.SplitSeq(strings.TrimRight(x.vt.String(), "\n "), "\n") {
		out = append(out, strings.TrimRight(l, " "))
	}
	return out
}

// wait waits until the screen satisfies ok.
func (x *terminal) wait(what string, ok func(lines []string) bool) {
	x.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(x.lines()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			x.t.Fatalf("waited in vain for %s; the screen:\n%s", what, strings.Join(x.lines(), "\n"))
		}
	}
}

func (x *terminal) last(want string) {
	x.t.Helper()
	want = strings.TrimRight(want, " ")
	x.wait(fmt.Sprintf("last line %q", want), func(l []string) bool { return l[len(l)-1] == want })
}

func (x *terminal) has(want string) {
	x.t.Helper()
	x.wait(fmt.Sprintf("%q", want), func(l []string) bool { return strings.Contains(strings.Join(l, "\n"), want) })
}

func do(t *testing.T, d *mgmttest.Daemon, line string) {
	t.Helper()
	if err := d.Do(line); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesAppearAboveTheTypedLine(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	do(t, d, "mode client")
	x := open(t, d.ListenTCP(server.Access{}), "")
	x.last("moongate>")
	x.write("log on\r")
	x.has("real-time log notification set to ON")
	x.write("veXrb\x1b[D\x1b[D\x1b[D") // the cursor stands behind "ve"
	x.last("moongate> veXrb")
	for i := range 20 {
		do(t, d, fmt.Sprintf("log I 'message %d'", i))
	}
	x.has(",I,message 19")
	x.last("moongate> veXrb")
	x.write("\x1b[C\x7f\r") // one to the right, delete the X: the cursor was kept
	x.has("SUCCESS: verb=")
	var numbers []string
	for _, l := range x.lines() {
		if _, n, ok := strings.Cut(l, ",I,message "); ok {
			numbers = append(numbers, n)
		}
	}
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint(i))
	}
	if diff := cmp.Diff(want, numbers); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	x.write("\x04")
	x.has("ended: <nil>")
}

func TestPasswordIsAskedHiddenAndNotKept(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	do(t, d, "mode client")
	do(t, d, "userpass Auth")
	history := filepath.Join(t.TempDir(), "state", "history")
	x := open(t, d.ListenTCP(server.Access{}), history)
	x.last("Auth username:")
	x.write("joe\r")
	x.last("Auth password:")
	x.write("hunter2\r")
	x.has("password entered, but not yet verified")
	x.last("moongate>")

	do(t, d, `secret "Private Key"`)
	x.has("press Enter on an empty line to answer 'Private Key'")
	x.write("\r")
	x.last("Private Key password:")
	x.write("hunter3\r")
	x.wait("two answers", func(l []string) bool { return strings.Count(strings.Join(l, "\n"), "password entered") == 2 })

	x.write("verb\rpassword Auth hunter4\rusername Auth hunter5\r")
	x.has("no username is currently needed")
	x.write("password Auth\r") // the text is asked for
	x.last("Auth password:")
	x.write("hunter6\r")
	x.write("exit\r")
	x.has("ended: <nil>")
	for _, secret := range []string{"hunter2", "hunter3", "hunter6"} {
		if strings.Contains(x.vt.String(), secret) {
			t.Errorf("%s was shown:\n%s", secret, x.vt.String())
		}
	}
	b, err := os.ReadFile(history)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("verb\nexit\n", string(b)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	st, err := os.Stat(history)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

func TestCompletionAtThePrompt(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	do(t, d, "mode server")
	do(t, d, "peer 0 1 laptop-joe 192.0.2.7:40000")
	x := open(t, d.ListenTCP(server.Access{}), "")
	x.last("moongate>")
	x.write("forg\t")
	x.last("moongate> forget-passwords")
	x.write("\x15kill lap\t") // Ctrl-U clears the line
	x.last("moongate> kill laptop-joe")
	x.write("\r")
	x.has("1 client(s) killed")
}

func TestTheEndOfTheDaemonEndsThePrompt(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	x := open(t, d.ListenTCP(server.Access{}), "")
	x.last("moongate>")
	x.write("half a li")
	d.Stop()
	x.has("ended: connection to the daemon lost")
}

// fakeLive is who asks and who is connected, for completion.
type fakeLive struct{}

func (fakeLive) Types(kind string) []string {
	return map[string][]string{"PASSWORD": {"Private Key"}}[kind]
}
func (fakeLive) Clients(ids bool) []string {
	if ids {
		return []string{"0", "12"}
	}
	return []string{"a b", "laptop"}
}

func TestComplete(t *testing.T) {
	for _, tt := range []struct {
		line string
		head string
		want []string
	}{
		{"ho", "", []string{"hold "}},
		{"hold re", "hold ", []string{"release "}},
		{"hold ", "hold ", []string{"off ", "on ", "release "}},
		{"password ", "password ", []string{`"Private Key" `}},
		{`password "Pri`, "password ", []string{`"Private Key" `}},
		{`password "Private K`, "password ", []string{`"Private Key" `}},
		{"kill ", "kill ", []string{`"a b" `, "laptop "}},
		{"client-kill 1", "client-kill ", []string{"12 "}},
		{"signal SIGU", "signal ", []string{"SIGUSR1 ", "SIGUSR2 "}},
		{"pid x", "pid ", nil},
	} {
		head, words, tail := complete(fakeLive{}, tt.line, len(tt.line))
		if head != tt.head || tail != "" {
			t.Errorf("%q: head %q tail %q", tt.line, head, tail)
		}
		if diff := cmp.Diff(tt.want, words); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.line, diff)
		}
	}
}

func TestStorable(t *testing.T) {
	for line, want := range map[string]bool{
		"verb 3": true, "password Auth x": false, " \"password\" Auth x": false, "username Auth joe": false, "": false,
		"cr-response aGk=": false, "needstr x y": false, "needok x ok": true, "passwordx": false,
	} {
		if got := storable(line); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}
