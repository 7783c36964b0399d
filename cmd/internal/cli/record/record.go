// Package record holds "record", a session to a file, and "replay", such a file as a daemon.
package record

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	var d time.Duration
	rec := &cobra.Command{
		Use: "record FILE", Short: "Record a session to a file",
		Long: "Ask for the daemon's versions, state, log and status, switch all real-time notifications on and write every line with its time to\n" +
			"FILE until interrupted; when the daemon ends before, what was recorded is kept and the exit code is 3. Passwords and tokens\n" +
			"are left out.",
		Example: "  moongate record session.txt --duration 1m", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.UntilInterrupted(runRecord(cmd.Context(), e, args[0], d))
		},
	}
	rec.Flags().DurationVar(&d, "duration", 0, "end after this long, 0 is never")
	var listen string
	var speed float64
	rep := &cobra.Command{
		Use: "replay FILE", Short: "Serve a recording as if it were a daemon",
		Long: "Listen and play the recording to each client: notifications at their times, replies to the commands that were recorded.\n" +
			"Other commands get an ERROR. The address is printed.",
		Example: "  moongate replay session.txt --listen 127.0.0.1:7506 --speed 10", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if speed <= 0 {
				return env.Usagef("--speed must be above 0")
			}
			return env.UntilInterrupted(runReplay(cmd.Context(), e, args[0], listen, speed))
		},
	}
	rep.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "where to listen: HOST:PORT, unix:/PATH or /PATH")
	rep.Flags().Float64Var(&speed, "speed", 1, "how much faster than recorded")
	env.Mark(env.NoDaemon, "yes", rep)
	return []*cobra.Command{rec, rep}
}

// asked lists what a recording starts with, so that a replay can answer it.
var asked = []string{"version", "pid", "state all", "state", "log all", "echo all", "status", "status 2", "status 3", "hold", "load-stats",
	"state on", "echo on", "log on", "bytecount 1"}

func runRecord(ctx context.Context, e *env.Env, path string, d time.Duration) error {
	var early []line // until the file is open: an old recording is not replaced by one of a daemon that was never reached
	var w *bufio.Writer
	var mu sync.Mutex // guards both
	begin := time.Now()
	c, err := e.DialTraced(ctx, func(fromDaemon bool, text string) {
		mu.Lock()
		defer mu.Unlock()
		l := line{time.Since(begin), fromDaemon, text}
		if w == nil {
			early = append(early, l)
			return
		}
		fmt.Fprintln(w, l)
	})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		c.Close()
		return err
	}
	defer f.Close()
	mu.Lock()
	w = bufio.NewWriter(f)
	fmt.Fprintln(w, header)
	for _, l := range early {
		fmt.Fprintln(w, l)
	}
	mu.Unlock()
	defer w.Flush()
	defer c.Close() // before the flush: nothing is traced afterwards
	for _, cmd := range asked {
		var re *client.ReplyError
		if _, err := c.Cmd(ctx, cmd); err != nil && !errors.As(err, &re) {
			return err
		}
	}
	if d > 0 { // from here: the answers that a recording begins with are always in it
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	select {
	case <-ctx.Done(): // the asked-for end
		return nil
	case <-c.Done():
		return c.Err()
	}
}

func runReplay(ctx context.Context, e *env.Env, path, listen string, speed float64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	lines, err := read(f)
	f.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	network, address := "tcp", listen
	if host, port, err := net.SplitHostPort(listen); err != nil || port != "0" || host == "" { // port 0, a free one, is for listeners alone
		a, err := client.ParseAddr(listen)
		if err != nil || a.TLS {
			return env.Usagef("--listen %s: want HOST:PORT, unix:/PATH or a path", listen)
		}
		network, address = a.Network, a.Address
	}
	ln, err := server.Listen(network, address)
	if err != nil {
		return err
	}
	e.WriteLines(ln.Addr().String())
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return ctx.Err()
		}
		all.Go(func() { (&player{lines: lines, speed: speed}).serve(ctx, conn) })
	}
}

// player plays a recording to one client.
type player struct {
	lines []line
	speed float64
	mu    sync.Mutex // guards writes
}

// replies collects the recorded answer to each command: the lines that are no notifications up to the next command.
func replies(lines []line) map[string][]string {
	m := make(map[string][]string)
	for i, l := range lines {
		if _, seen := m[l.text]; l.fromDaemon || seen {
			continue
		}
		answer := []string{}
		for _, n := range lines[i+1:] {
			if !n.fromDaemon {
				break
			}
			if !strings.HasPrefix(n.text, ">") {
				answer = append(answer, n.text)
			}
		}
		m[l.text] = answer
	}
	return m
}

// history answers the forms of state, log and echo that were not recorded, such as "log on 20", from the whole history.
func history(answers map[string][]string, cmd string) (answer []string, ok bool) {
	words := strings.Fields(cmd)
	if len(words) < 2 || len(words) > 3 {
		return nil, false
	}
	all, ok := answers[words[0]+" all"]
	if !ok || len(all) == 0 || words[0] != "state" && words[0] != "log" && words[0] != "echo" {
		return nil, false
	}
	for _, w := range words[1:] {
		n, err := strconv.Atoi(w)
		switch {
		case w == "on" || w == "off":
			answer = append(answer, "SUCCESS: real-time "+words[0]+" notification set to "+strings.ToUpper(w))
		case w == "all":
			answer = append(answer, all...)
		case err == nil && n > 0:
			answer = append(answer, all[max(0, len(all)-1-n):]...)
		default:
			return nil, false
		}
	}
	return answer, true
}

func (p *player) write(conn net.Conn, lines ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := conn.Write([]byte(strings.Join(lines, "\r\n") + "\r\n"))
	return err
}

func (p *player) serve(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var notes sync.WaitGroup
	defer notes.Wait()
	defer cancel()
	greeted := make(chan struct{})
	notes.Go(func() { p.notify(ctx, conn, greeted) })
	<-greeted
	answers := replies(p.lines)
	for sc := bufio.NewScanner(conn); sc.Scan(); {
		cmd := strings.TrimRight(sc.Text(), "\r")
		if cmd == "quit" || cmd == "exit" {
			return
		}
		answer, ok := answers[client.Redact(cmd)]
		if !ok {
			answer, ok = history(answers, cmd)
		}
		if !ok {
			answer = []string{"ERROR: '" + strings.ToValidUTF8(cmd, "?") + "' is not in this recording"}
		}
		if len(answer) > 0 && p.write(conn, answer...) != nil {
			return
		}
	}
}

// notify sends the notifications at their times, the greeting first. The session ends with the recording's last one.
func (p *player) notify(ctx context.Context, conn net.Conn, greeted chan struct{}) {
	defer func() {
		select {
		case <-greeted:
		default:
			close(greeted)
		}
	}()
	begin := time.Now()
	for _, l := range p.lines {
		if !l.fromDaemon || !strings.HasPrefix(l.text, ">") {
			continue
		}
		select {
		case <-time.After(time.Until(begin.Add(time.Duration(float64(l.at) / p.speed)))):
		case <-ctx.Done():
			return
		}
		if p.write(conn, l.text) != nil {
			return
		}
		if strings.HasPrefix(l.text, ">INFO:") {
			select {
			case <-greeted:
			default:
				close(greeted)
			}
		}
	}
}
