// Package demo brings a whole tunnel up on one machine and takes it down again: two network namespaces, a throw-away
// certificate authority, a server on one side, a client on the other, and a Lua hook that answers the password prompt.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options hold what a run needs.
type Options struct {
	Out, Err io.Writer
	// Program is the moongate binary that plays both ends and the commands.
	Program string
	// Prompt opens the prompt on the client's port at the end, on Stdin.
	Prompt bool
	Stdin  *os.File
	Stdout *os.File
	// Bold sets what the demonstration says off from what the commands print.
	Bold bool
	// Fleet plays three servers that act as one, in the place of a single one.
	Fleet bool
	// Keep leaves the folder with certificates, configurations and logs behind.
	Keep bool
}

const (
	outerServer = "10.98.0.1"
	outerClient = "10.98.0.2"
	innerServer = "10.98.8.1"
	upTimeout   = 30 * time.Second
	stepTimeout = 20 * time.Second
)

// Run plays the demonstration. Whatever it made is gone when it returns, also on an error or the end of ctx; what a run
// that was killed has left is cleaned up by the next one.
func Run(ctx context.Context, o Options) (err error) {
	for _, p := range []struct{ program, from string }{{"ip", "iproute2"}, {"ping", "iputils-ping"}} {
		if _, err := exec.LookPath(p.program); err != nil {
			return fmt.Errorf("the demonstration needs the program %s: install %s", p.program, p.from)
		}
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP) // the terminal is gone
	defer stop()
	if os.Geteuid() != 0 {
		return borrowRoot(ctx, o)
	}
	if err := settle(); err != nil {
		return err
	}
	sweep(ctx)
	dir, err := os.MkdirTemp("", "moongate-demo-")
	if err != nil {
		return err
	}
	pid := strconv.Itoa(os.Getpid())
	a := &arena{Options: o, dir: dir, server: prefix + "s" + pid, client: prefix + "c" + pid}
	defer func() {
		if ctx.Err() != nil {
			fmt.Fprintln(o.Err, "\ninterrupted, cleaning up")
			err = ctx.Err()
		}
		err = errors.Join(err, a.close())
	}()
	return a.play(ctx)
}

// arena is the stage: a folder, two namespaces, and the daemons that run in them.
type arena struct {
	Options
	dir            string
	server, client string // namespaces
	daemons        []*exec.Cmd
}

// step is one scene: what is said, what is shown of a file, what is done.
type step struct {
	say  string
	show string
	do   func(context.Context) error
}

// steps is the demonstration.
func (a *arena) steps() []step {
	port := filepath.Join(a.dir, "client.sock")
	return []step{
		{"Certificates, keys and configurations, made on the spot", "", func(context.Context) error { return writeFiles(a.dir) }},
		{"Two network namespaces, joined by a cable: " + outerServer + " and " + outerClient, "", a.network},
		{"The server starts. A Lua script inside it decides who may come in", admitLua, func(ctx context.Context) error {
			return a.daemon(ctx, a.server, "server", "Initialization Sequence Completed")
		}},
		{"The client starts. It is held, and has no password", "", func(ctx context.Context) error {
			return a.daemon(ctx, a.client, "client", "Need hold release")
		}},
		{"Another script lets it go and answers the password prompt", answerLua, func(ctx context.Context) error {
			if err := a.background(a.client, "answer", "run", filepath.Join(a.dir, "answer.lua"), "-a", port); err != nil {
				return err
			}
			if err := a.moongate(ctx, "wait", "--state", "CONNECTED", "--timeout", upTimeout.String(), "-a", port); err != nil {
				return err
			}
			a.quote("client", "asked for", "answer")
			a.quote("server", "may come in", "server")
			return nil
		}},
		{"Ping through the tunnel", "", func(ctx context.Context) error {
			return a.run(ctx, a.client, "ping", "-c", "3", "-i", "0.2", innerServer)
		}},
		{"What the client has to say", "", func(ctx context.Context) error {
			return a.moongate(ctx, "status", "-a", port)
		}},
		{"And the server", "", func(ctx context.Context) error {
			return a.moongate(ctx, "clients", "-a", filepath.Join(a.dir, "server.sock"))
		}},
	}
}

// play goes through the steps, and opens the prompt at the end.
func (a *arena) play(ctx context.Context) error {
	steps := a.steps()
	if a.Fleet {
		steps = a.fleetSteps()
	}
	for i, s := range steps {
		a.say("[%d/%d] %s", i+1, len(steps), s.say)
		if s.show != "" {
			fmt.Fprintln(a.Out)
			for line := range strings.SplitSeq(strings.TrimRight(s.show, "\n"), "\n") {
				fmt.Fprintln(a.Out, strings.TrimRight("    "+line, " "))
			}
			fmt.Fprintln(a.Out)
		}
		if err := s.do(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s: %w\n%s", s.say, err, a.logs())
		}
	}
	if a.Prompt {
		a.say("The prompt, on the client: try `status`, `log 5`, `signal SIGUSR1`; Ctrl-D ends the demonstration")
		cmd := exec.CommandContext(ctx, a.Program, "attach", filepath.Join(a.dir, "client.sock"))
		cmd.Stdin, cmd.Stdout, cmd.Stderr = a.Stdin, a.Stdout, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it restores the terminal
		cmd.WaitDelay = 2 * time.Second
		if err := cmd.Run(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("prompt: %w", err)
		}
	}
	if ctx.Err() == nil {
		a.say("Done. All daemons, the namespaces and the files are taken away again")
	}
	return nil
}

// say prints a line of ours.
func (a *arena) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if a.Bold {
		line = "\x1b[1m" + line + "\x1b[0m"
	}
	fmt.Fprintf(a.Out, "\n%s\n", line)
}

// quote prints the last line of a log that contains text.
func (a *arena) quote(who, text, log string) {
	b, err := os.ReadFile(a.log(log))
	if err != nil {
		return
	}
	lines := strings.Split(string(b), "\n")
	for _, l := range slices.Backward(lines) {
		if strings.Contains(l, text) {
			fmt.Fprintf(a.Out, "    %s: %s\n", who, strings.TrimSpace(l))
			return
		}
	}
}

// network makes the namespaces and the cable between them.
func (a *arena) network(ctx context.Context) error {
	for _, line := range []string{
		"netns add " + a.server,
		"netns add " + a.client,
		"link add eth0 netns " + a.server + " type veth peer name eth0 netns " + a.client,
		"-n " + a.server + " addr add " + outerServer + "/24 dev eth0",
		"-n " + a.client + " addr add " + outerClient + "/24 dev eth0",
		"-n " + a.server + " link set lo up",
		"-n " + a.client + " link set lo up",
		"-n " + a.server + " link set eth0 up",
		"-n " + a.client + " link set eth0 up",
	} {
		if err := a.quiet(ctx, "ip", strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// daemon starts `moongate daemon NAME.conf` in a namespace and waits until its log says ready.
func (a *arena) daemon(ctx context.Context, ns, name, ready string) error {
	if err := a.background(ns, name, "daemon", "--cd", a.dir, "--config", name+".conf"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	for {
		log, err := os.ReadFile(a.log(name))
		if err == nil && bytes.Contains(log, []byte(ready)) {
			fmt.Fprintf(a.Out, "    %s is up, its log is %s\n", name, a.log(name))
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not say %q in time: %w", a.log(name), ready, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// background starts moongate in a namespace; its output goes to NAME.log.
func (a *arena) background(ns, name string, args ...string) error {
	f, err := os.Create(a.log(name))
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns, a.Program}, args...)...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours: we end them in order
	if err := cmd.Start(); err != nil {
		return err
	}
	a.daemons = append(a.daemons, cmd)
	return nil
}

// moongate runs a command of ours and shows it.
func (a *arena) moongate(ctx context.Context, args ...string) error {
	fmt.Fprintf(a.Out, "$ moongate %s\n", strings.Join(args, " "))
	return a.run(ctx, a.client, a.Program, args...)
}

// run runs a program in a namespace and shows its output.
func (a *arena) run(ctx context.Context, ns, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, upTimeout+stepTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns, program}, args...)...)
	cmd.Stdout, cmd.Stderr = a.Out, a.Err
	return cmd.Run()
}

// quiet runs a program and shows its output only in the error.
func (a *arena) quiet(ctx context.Context, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func (a *arena) log(name string) string { return filepath.Join(a.dir, name+".log") }

// logs is the end of every log, for an error.
func (a *arena) logs() string {
	var b strings.Builder
	for _, name := range append([]string{"server", "client", "answer"}, nodes...) {
		log, err := os.ReadFile(a.log(name))
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		fmt.Fprintf(&b, "-- %s.log\n%s\n", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return b.String()
}

// close ends the daemons, the client first, and removes namespaces and files.
func (a *arena) close() error {
	for _, cmd := range slices.Backward(a.daemons) {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() {
			_ = cmd.Wait() // its status does not matter any more
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
	}
	var errs []error
	ctx := context.Background()
	spaces := []string{a.client, a.server}
	for n := range nodes {
		spaces = append(spaces, a.nodeSpace(n))
	}
	for _, ns := range spaces {
		if _, err := os.Stat("/run/netns/" + ns); err == nil {
			errs = append(errs, a.quiet(ctx, "ip", "netns", "del", ns))
		}
	}
	if a.Keep {
		fmt.Fprintf(a.Out, "Certificates, configurations and logs are left in %s\n", a.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(a.dir))...)
}
