package repl_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/hinshun/vt10x"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// TestMain runs the program's "attach" when the test starts its own binary on a pseudo-terminal.
func TestMain(m *testing.M) {
	if addr := os.Getenv("REPL_ADDR"); addr != "" {
		code := cli.Main(cli.Program{Version: "test"}, []string{"moongate", "attach", addr, "--history", os.Getenv("REPL_HISTORY")})
		fmt.Printf("ended: %d\n", code)
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// terminal is a prompt on a pseudo-terminal with a model of its screen.
type terminal struct {
	t   *testing.T
	pty *os.File
	vt  vt10x.Terminal
}

func open(t *testing.T, addr, history string, env ...string) *terminal {
	t.Helper()
	return openSize(t, addr, history, 100, 40, env...)
}

func openSize(t *testing.T, addr, history string, cols, rows int, env ...string) *terminal {
	t.Helper()
	return openProgram(t, exec.Command(os.Args[0]), addr, history, cols, rows, env...)
}

// openProgram opens a prompt, or a shell that may start one as "$REPL".
func openProgram(t *testing.T, cmd *exec.Cmd, addr, history string, cols, rows int, env ...string) *terminal {
	t.Helper()
	cmd.Env = append(os.Environ(), "REPL_ADDR="+addr, "REPL_HISTORY="+history, "TERM=xterm-256color", "MOONGATE_PAGER=cat", "HOME="+t.TempDir(), "MOONGATE_RUN_DIR=/nowhere", "TZ=UTC")
	cmd.Env = append(cmd.Env, env...)
	p, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: uint16(rows), Cols: uint16(cols)})
	if err != nil {
		t.Fatal(err)
	}
	if cols == 0 {
		cols = 80 // the program is not told how wide the screen is
	}
	x := &terminal{t: t, pty: p, vt: vt10x.New(vt10x.WithSize(cols, rows))}
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
		select {
		case <-done:
		case <-time.After(5 * time.Second): // a program that a killed shell left behind keeps the terminal open
		}
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
	x.has("log I  message 19")
	x.last("moongate> veXrb")
	x.write("\x1b[C\x7f\r") // one to the right, delete the X: the cursor was kept
	x.wait("the verbosity", func(l []string) bool { return len(l) > 1 && l[len(l)-2] == "1" })
	var numbers []string
	for _, l := range x.lines() {
		if _, n, ok := strings.Cut(l, "log I  message "); ok {
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
	x.has("ended: 0")
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
	x.has("ended: 0")
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
	x.has("1 disconnected")
}

// daemonAt is a daemon on a socket of a given path.
func daemonAt(t *testing.T, path string, script ...string) *mgmttest.Daemon {
	t.Helper()
	d := mgmttest.NewDaemon(t, server.Config{})
	for _, l := range script {
		do(t, d, l)
	}
	ln, err := server.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go d.Server.Serve(ctx, ln, server.Access{})
	return d
}

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mg") // the path of t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "m.sock")
}

// The daemon goes while a line is typed: line, cursor, history and what was switched on are still there when it is back.
func TestTheDaemonRestartsWhileALineIsTyped(t *testing.T) {
	path := socketPath(t)
	d := daemonAt(t, path, "mode client")
	x := open(t, path, filepath.Join(t.TempDir(), "history"))
	x.last("moongate>")
	x.write("state on\r")
	x.has("real-time state notification set to ON")
	x.write("log -n X1\x1b[D\x1b[D") // the cursor stands on the X
	x.last("moongate> log -n X1")
	d.Stop()
	x.last("not connected> log -n X1")
	x.has("connection to the daemon lost; dialing again")
	x.write("\x15verb\r") // a command meanwhile loses nothing
	x.has("not connected: ")
	x.last("not connected>")
	x.write("log -n X1\x1b[D\x1b[D")
	x.last("not connected> log -n X1")
	d = daemonAt(t, path, "mode client")
	x.has("connected again: OpenVPN Management Interface")
	x.last("moongate> log -n X1")
	do(t, d, "state WAIT")
	x.has("state WAIT")
	x.last("moongate> log -n X1")
	x.write("\x1b[3~\r") // delete the X: the cursor was kept
	x.write("\x10")      // the line before
	x.last("moongate> log -n 1")
	if n := strings.Count(strings.Join(x.lines(), "\n"), "connection to the daemon lost"); n != 1 {
		t.Errorf("the loss was told %d times:\n%s", n, strings.Join(x.lines(), "\n"))
	}
	x.write("\x15exit\r")
	x.has("ended: 0")
}

// Where lines are not edited, the keys that end a prompt come back as a line: it is not run and not remembered.
func TestTheDaemonRestartsWhereLinesAreNotEdited(t *testing.T) {
	for _, tt := range []struct {
		name string
		cols int
		env  string
	}{
		{"dumb", 80, "TERM=dumb"}, {"no terminal type", 80, "TERM="}, {"too narrow", 15, "TERM=xterm"}, {"no width", 0, "TERM=xterm"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path, history := socketPath(t), filepath.Join(t.TempDir(), "history")
			d := daemonAt(t, path, "mode client")
			x := openSize(t, path, history, tt.cols, 24, tt.env)
			all := func(want string) {
				t.Helper()
				x.wait(want, func(l []string) bool { return strings.Contains(strings.Join(l, ""), want) })
			}
			all("moongate>")
			x.write("pi") // the terminal keeps it until Enter
			d.Stop()
			all("not connected>")
			daemonAt(t, path, "mode client")
			all("connected again")
			x.write("d\r")
			all(strconv.Itoa(os.Getpid()))
			x.write("exit\r")
			all("ended: 0")
			b, err := os.ReadFile(history)
			if err != nil || string(b) != "pid\nexit\n" {
				t.Errorf("the history is %q, %v", b, err)
			}
			if screen := strings.Join(x.lines(), ""); strings.Contains(screen, "not a command") {
				t.Errorf("a line that nobody typed:\n%s", screen)
			}
		})
	}
}

// A question of a daemon that is gone is not asked any more.
func TestTheDaemonGoesWhileItsQuestionIsOpen(t *testing.T) {
	for name, script := range map[string]string{"username": "userpass Auth", "hidden password": "secret 'Private Key'"} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			d := daemonAt(t, path, "mode client", script)
			x := open(t, path, "")
			asked := func(l []string) bool { return strings.HasSuffix(l[len(l)-1], ":") }
			late := func(l []string) bool {
				return strings.Contains(strings.Join(l, "\n"), "press Enter") && l[len(l)-1] == "moongate>"
			}
			x.wait("the question", func(l []string) bool { return asked(l) || late(l) })
			if late(x.lines()) { // the prompt was open before the daemon had told
				x.write("\r")
				x.wait("the question", asked)
			}
			x.write("hal")
			if name == "username" { // of a hidden one nothing is seen
				x.has(": hal")
			}
			d.Stop()
			x.wait("the prompt", func(l []string) bool { return strings.HasPrefix(l[len(l)-1], "not connected>") })
			x.write("\x15") // a busy machine reads what was typed after the question is gone
			x.last("not connected>")
			daemonAt(t, path, "mode client")
			x.last("moongate>")
			x.write("exit\r")
			x.has("ended: 0")
		})
	}
}

// The shell's commands work at the prompt with the same words, and management lines too.
func TestOneGrammar(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	for _, l := range []string{"mode server", "peer 0 1 lab-one 192.0.2.7:40000", "peer 1 1 lab-two 192.0.2.8:40000", "peer 2 1 office 192.0.2.9:40000", "state CONNECTED SUCCESS 10.8.0.1"} {
		do(t, d, l)
	}
	x := open(t, d.ListenTCP(server.Access{}), "")
	x.last("moongate>")
	for _, tt := range []struct{ typed, want string }{
		{"state", "CONNECTED     SUCCESS  10.8.0.1"},
		{"clients --sort -name --columns name,cid", "office       2"},
		{"kill 'lab-*' --dry-run", "2 would be disconnected"},
		{"state 1", ",CONNECTED,SUCCESS,10.8.0.1,"},
		{"raw pid", "SUCCESS: pid="},
		{"wait --state CONNECTED", "CONNECTED"},
		{"clients --bogus", "unknown flag: --bogus"},
		{"verb 99", "want a number from 0 to 15"},
		{"frobnicate", "ERROR: unknown command"},
		{"clints", "did you mean clients?"},
		{"clinet-kill 0", "did you mean client-kill?"},
		{"attach x", "is for the shell, not for the prompt"},
		{"\\json", "JSON is on"},
		{"pid", `{"schema":"moongate.pid/1"`},
		{"\\json", "JSON is off"},
		{"\\nope", `\nope is no command of the prompt`},
		{"help client-deny", "client-deny <CID> <KID> <reason>"},
		{"help BYTECOUNT_CLI", "bytes on the link"},
		{"help clients", "--filter"},
		{"kill lab-one", "1 disconnected"},
	} {
		before := strings.Join(x.lines(), "\n")
		x.write("\x0c") // a clean screen
		x.last("moongate>")
		x.write(tt.typed + "\r")
		x.wait(fmt.Sprintf("%s: %q (before:\n%s)", tt.typed, tt.want, before), func(l []string) bool {
			return strings.Contains(strings.Join(l, "\n"), tt.want) && l[len(l)-1] == "moongate>"
		})
	}
	x.write("\x15clients --co\t")
	x.last("moongate> clients --columns")
	x.write("\x15kill of\t")
	x.last("moongate> kill office")
	x.write("\x15\\wa\t")
	x.last(`moongate> \watch`)
	x.write("\x15exit\r")
	x.has("ended: 0")
}

func TestMetaCommands(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	do(t, d, "mode client")
	other := mgmttest.NewDaemon(t, server.Config{})
	do(t, other, "mode client")
	do(t, other, "state WAIT")
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	x := open(t, d.ListenTCP(server.Access{}), "")
	x.last("moongate>")
	x.write("\\record " + filepath.Join(dir, "rec") + "\r")
	x.last("moongate>")
	x.write("\\source " + file("lines", "# two lines\nverb 5\nmute\n") + "\r")
	x.has("moongate> mute")
	x.last("moongate>")
	x.write("\\lua " + file("x.lua", "print('from ' .. 'lua')\n") + "\r")
	x.has("from lua")
	x.last("moongate>")
	x.write("\\watch 100ms verb\r")
	x.wait("two rounds", func(l []string) bool { return strings.Count(strings.Join(l, "\n"), "  verb\n") >= 2 })
	x.write("\x03")
	x.last("moongate>")
	x.write("\\record\r")
	x.last("moongate>")
	x.write("\\connect 127.0.0.1:1\r")
	x.has("reach 127.0.0.1:1")
	x.write("\\connect " + other.ListenTCP(server.Access{}) + "\r")
	x.has("connected: OpenVPN")
	x.last("moongate>")
	x.write("state\r")
	x.has("WAIT")
	x.write("\\q\r")
	x.has("ended: 0")
	b, err := os.ReadFile(filepath.Join(dir, "rec"))
	if err != nil || !strings.Contains(string(b), "moongate> verb 5\n") || !strings.Contains(string(b), "from lua\n") {
		t.Errorf("%v, record:\n%s", err, b)
	}
}

// Two prompts write one history, line by line.
func TestTwoPromptsAndOneHistory(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	do(t, d, "mode client")
	history := filepath.Join(t.TempDir(), "history")
	addr := d.ListenTCP(server.Access{})
	a, b := open(t, addr, history), open(t, addr, history)
	a.last("moongate>")
	b.last("moongate>")
	a.write("verb 1\r")
	a.has("verb level changed")
	b.write("verb 2\r")
	b.has("verb level changed")
	b.write("exit\r")
	b.has("ended: 0")
	a.write("verb 3\rexit\r")
	a.has("ended: 0")
	text, err := os.ReadFile(history)
	if diff := cmp.Diff("verb 1\nverb 2\nverb 3\n", strings.ReplaceAll(string(text), "exit\n", "")); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// A thousand messages at 2 ms while lines are typed and completed: all of them and every command are there.
func TestAStormOfMessages(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	do(t, d, "mode client")
	x := openSize(t, d.ListenTCP(server.Access{}), "", 100, 1300)
	x.last("moongate>")
	x.write("log on\r")
	x.has("real-time log notification set to ON")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			_ = d.Do(fmt.Sprintf("log I 'message %d'", i))
			time.Sleep(2 * time.Millisecond)
		}
	}()
	for i := range 12 {
		for _, c := range fmt.Sprintf("raw verb %d", i) {
			x.write(string(c))
			time.Sleep(3 * time.Millisecond)
		}
		x.write("\r")
		time.Sleep(30 * time.Millisecond)
	}
	<-done
	x.has("log I  message 999")
	x.last("moongate>")
	text := strings.Join(x.lines(), "\n") + "\n"
	for i := range 1000 {
		if n := strings.Count(text, fmt.Sprintf("log I  message %d\n", i)); n != 1 {
			t.Fatalf("message %d is there %d times", i, n)
		}
	}
	x.wait("12 answers", func(l []string) bool {
		return strings.Count(strings.Join(l, "\n"), "SUCCESS: verb level changed") == 12
	})
}

// Ctrl-C inside a search leaves a clean line.
func TestInterruptedSearch(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	do(t, d, "mode client")
	x := open(t, d.ListenTCP(server.Access{}), "")
	x.last("moongate>")
	x.write("verb 4\r")
	x.last("moongate>")
	x.write("\x12ver")
	x.last("(reverse-i-search)`ver': verb 4")
	x.write("\x03")
	x.last("moongate>")
	if strings.Contains(strings.Join(x.lines(), "\n"), "reverse-i-search") {
		t.Errorf("rubbish on the screen:\n%s", strings.Join(x.lines(), "\n"))
	}
}

// Small and simple terminals get the same words.
func TestOtherTerminals(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	do(t, d, "mode server")
	do(t, d, "peer 0 1 größe-東京 192.0.2.7:40000")
	addr := d.ListenTCP(server.Access{})
	for _, tt := range []struct {
		name       string
		cols, rows int
		env        string
	}{
		{"usual", 80, 24, ""}, {"narrow", 30, 10, ""}, {"too narrow", 15, 10, ""}, {"dumb", 80, 24, "TERM=dumb"}, {"no colour", 80, 24, "NO_COLOR=1"}, {"wide", 200, 60, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := openSize(t, addr, "", tt.cols, tt.rows, tt.env)
			x.last("moongate>")
			x.write("clients --columns cid,name\r")
			x.has("größe-")
			x.last("moongate>")
			for _, l := range x.lines() {
				if strings.Contains(l, "COMMON") && utf8.RuneCountInString(l) > tt.cols {
					t.Errorf("%q is wider than %d", l, tt.cols)
				}
			}
			x.write("exit\r")
			x.has("ended: 0")
		})
	}
}

// A window that changes its width while a line is typed keeps the line, its cursor and what is sent in the end. A line that is longer
// than the window shows the part with the cursor.
func TestTheWindowChangesWhileALineIsTyped(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	do(t, d, "mode server")
	addr := d.ListenTCP(server.Access{})
	x := openSize(t, addr, "", 80, 24)
	x.last("moongate>")
	const half, rest = "echo one-two-three-four-five-six-seven-eight", "-nine"
	x.write(half)
	x.last("moongate> " + half)
	resize := func(cols int) {
		t.Helper()
		x.vt.Resize(cols, 24)
		if err := pty.Setsize(x.pty, &pty.Winsize{Rows: 24, Cols: uint16(cols)}); err != nil {
			t.Fatal(err)
		}
	}
	cursor := func(what string) {
		t.Helper()
		x.wait(what, func(l []string) bool {
			last, at := l[len(l)-1], x.vt.Cursor()
			return at.Y == len(l)-1 && at.X <= utf8.RuneCountInString(last) && strings.HasPrefix(last, "moongate> ")
		})
	}
	for _, cols := range []int{40, 120, 33, 80} {
		resize(cols)
		if cols > len("moongate> "+half) {
			x.last("moongate> " + half)
		} else {
			x.wait(fmt.Sprintf("the end of the line in %d columns", cols), func(l []string) bool {
				last := l[len(l)-1]
				return len(last) <= cols && strings.HasPrefix(last, "moongate> ") && strings.HasSuffix(last, "eight")
			})
		}
		cursor(fmt.Sprintf("the cursor behind the line in %d columns", cols))
		for i, l := range x.lines() {
			if i < len(x.lines())-1 && strings.HasPrefix(l, "moongate>") {
				t.Errorf("%d columns leave a copy of the line:\n%s", cols, strings.Join(x.lines(), "\n"))
			}
		}
	}
	x.write(rest)
	x.last("moongate> " + half + rest)
	x.write("\r")
	x.has("echo parameter must be")
	x.write("\x10") // the line again, from the history
	x.last("moongate> " + half + rest)
}

// A session that the user leaves for another daemon is not lost.
func TestGoingToAnotherDaemon(t *testing.T) {
	first, second := socketPath(t), socketPath(t)
	daemonAt(t, first, "mode client")
	daemonAt(t, second, "mode client", "state CONNECTED SUCCESS 10.8.0.2")
	x := open(t, first, "")
	x.last("moongate>")
	x.write("\\connect " + second + "\r")
	x.has("going to " + second)
	x.has("connected: OpenVPN Management Interface")
	x.last("moongate>")
	if strings.Contains(strings.Join(x.lines(), "\n"), "lost") {
		t.Errorf("the session counts as lost:\n%s", strings.Join(x.lines(), "\n"))
	}
	x.write("state\r")
	x.has("10.8.0.2")
	x.write("exit\r")
	x.has("ended: 0")
}

// What a command switched on for itself is off again when it ends, and what the user switched on stays on.
func TestFollowersLeaveNoSwitchBehind(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	if err := d.Do("state CONNECTED SUCCESS 10.8.0.1"); err != nil {
		t.Fatal(err)
	}
	x := open(t, d.ListenTCP(server.Access{}), "")
	x.last("moongate> ")
	say := func(text string) {
		t.Helper()
		if err := d.Do("log I " + text); err != nil {
			t.Fatal(err)
		}
	}
	for i, line := range []string{"log -f", "events -k LOG", `\lua ` + luaFile(t, `moongate.on("log", function(ev) print(ev.text) end)`)} {
		x.write(line + "\r")
		during := fmt.Sprintf("during-%d", i)
		x.wait(during, func(l []string) bool {
			say(during) // again, until the command listens
			return strings.Contains(strings.Join(l, "\n"), during)
		})
		x.write("\x03")
		x.last("moongate> ")
		say(fmt.Sprintf("after-%d", i))
		x.write("pid\r")
		x.wait("the answer behind the message", func(l []string) bool {
			return strings.Count(strings.Join(l, "\n"), "moongate> pid") == i+1 && l[len(l)-1] == "moongate>"
		})
	}
	if screen := strings.Join(x.lines(), "\n"); strings.Contains(screen, "after-") {
		t.Errorf("log lines that nobody asked for:\n%s", screen)
	}
	x.write("log on\r")
	x.has("real-time log notification set to ON")
	say("wanted-1")
	x.has("wanted-1")
	x.write("state -f\r")
	x.has("CONNECTED     SUCCESS")
	x.write("\x03")
	x.last("moongate> ")
	say("wanted-2")
	x.has("wanted-2")
}

func luaFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.lua")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Ctrl-Z stops the prompt with the terminal as it was; when it goes on, the half-typed line is there, also when it was stopped while a command ran.
func TestStoppedAndContinued(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	x := openProgram(t, exec.Command("bash", "--norc", "--noprofile"), d.ListenTCP(server.Access{}), "", 100, 40, "REPL="+os.Args[0], "PS1=$ ")
	x.last("$ ")
	x.write("\"$REPL\"\r")
	x.last("moongate> ")
	x.write("half")
	x.last("moongate> half")
	x.write("\x1a")
	x.has("Stopped")
	x.write("stty -a | grep -q ' icanon.* echo ' && echo coo''ked\r")
	x.has("cooked")
	x.write("fg\r")
	x.last("moongate> half")
	x.write("\x15log -f\r")
	if err := d.Do("log I running"); err != nil {
		t.Fatal(err)
	}
	x.has("running")
	x.write("\x1a")
	x.wait("the second stop", func(l []string) bool { return strings.Count(strings.Join(l, "\n"), "Stopped") == 2 })
	x.write("fg\r")
	if err := d.Do("log I again"); err != nil {
		t.Fatal(err)
	}
	x.has("again")
	x.write("\x03")
	x.last("moongate> ")
	x.write("pid\r")
	x.wait("one echo of the line", func(l []string) bool {
		return l[len(l)-1] == "moongate>" && strings.Contains(l[len(l)-2], fmt.Sprint(os.Getpid()))
	})
	if l := x.lines(); l[len(l)-3] != "moongate> pid" {
		t.Errorf("the screen:\n%s", strings.Join(l, "\n"))
	}
	x.write("\x04")
	x.last("$ ")
	x.write("exit\r")
}

// A signal that ends programs ends a prompt at once, with the half-typed line unsent.
func TestSignalsEndThePrompt(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			d := mgmttest.NewDaemon(t, server.Config{})
			cmd := exec.Command(os.Args[0])
			x := openProgram(t, cmd, d.ListenTCP(server.Access{}), "", 100, 40)
			x.last("moongate> ")
			x.write("signal SIGTERM")
			x.last("moongate> signal SIGTERM")
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			x.last("ended: 0")
			if calls := d.Ctl.Calls(); len(calls) > 0 {
				t.Errorf("the line was sent: %v", calls)
			}
		})
	}
}
