package session

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

var update = flag.Bool("update", false, "write what happened into testdata/*.txt")

// Dialogues are played from testdata/*.txt: lines that start with "> " are commands, the lines below are what came of each.
// See testdata/README for the commands.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("dialogues: %v %v", files, err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			synctest.Test(t, func(t *testing.T) { playDialogue(t, string(want), &got, nil) })
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(pairByPair(string(want)), pairByPair(got.String())); diff != "" {
				t.Errorf("%s (-want +got, -update accepts):\n%s", path, diff)
			}
		})
	}
}

// pairByPair puts what a command leads to at the second pair behind what it leads to at the first. The order of a pair is part of a
// dialogue; what two pairs do at the same moment has none.
func pairByPair(text string) string {
	var all, second strings.Builder
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "guest ") || strings.HasPrefix(line, "host "):
			second.WriteString(line)
			continue
		case line == "\n" || strings.HasPrefix(line, "> ") || strings.HasPrefix(line, "#"):
			all.WriteString(second.String())
			second.Reset()
		}
		all.WriteString(line)
	}
	return all.String() + second.String()
}

// dialogue is a pair and what is written down about it.
type dialogue struct {
	t              *testing.T
	out            *bytes.Buffer
	client, server *end
	guest, host    *end // a second pair
}

// playDialogue plays a text. step, when it is not nil, comes before each command.
func playDialogue(t *testing.T, text string, out *bytes.Buffer, step func()) {
	d := &dialogue{t: t, out: out}
	defer func() {
		wallStep = 0
		for _, e := range d.ends() {
			e.close()
		}
	}()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		command, ok := strings.CutPrefix(line, "> ")
		if ok || line == "" || strings.HasPrefix(line, "#") {
			fmt.Fprintln(out, line)
		}
		if ok && step != nil {
			step()
		}
		if ok {
			d.do(strings.Fields(command))
		}
	}
}

func (d *dialogue) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d *dialogue) ends() (list []*end) {
	for _, e := range []*end{d.client, d.server, d.guest, d.host} {
		if e != nil {
			list = append(list, e)
		}
	}
	return list
}

func (d *dialogue) do(words []string) {
	arg := func(n int) string {
		if n < len(words) {
			return words[n]
		}
		return ""
	}
	number := func(n int) uint64 {
		v, err := strconv.ParseUint(arg(n), 10, 64)
		if err != nil {
			d.t.Fatalf("%v: %v", words, err)
		}
		return v
	}
	now := present()
	switch words[0] {
	case "pair":
		d.pair(words[1:])
		return
	case "guest":
		if len(words) == 1 || strings.Contains(words[1], "=") {
			d.visit(words[1:])
			return
		}
		d.end(words[0], words[1:])
	case "clock":
		wallStep = d.duration(arg(1))
	case "forger":
		d.server.in.Send(forgedReset(arg(1)), now)
	case "wait":
		play(d.ends(), d.duration(arg(1)))
		return
	case "ask":
		d.server.s.Ask(number(1), verifiers(words[2:]), now.Add(d.server.s.Patience()))
	case "accept":
		d.server.s.Verdict(number(1), verifiers(words[2:]), nil, now)
	case "deny":
		d.server.s.Verdict(number(1), verifiers(words[2:]), errDenied, now)
	case "refuse":
		d.say("refused now: %v", d.server.s.Refuse(number(1), errDenied))
	case "reject":
		d.server.s.Reject(errDenied)
	case "decides":
		d.say("decides alone: %v", d.server.s.Decides(number(1), verifiers(words[2:])))
		return
	case "key":
		keyID, ok := d.server.s.Key(number(1))
		d.say("key %d %v", keyID, ok)
		return
	case "defer":
		d.server.s.Defer(number(1))
	case "extend":
		granted, ok := d.server.s.Extend(number(1), d.duration(arg(2)), now)
		d.say("granted %v %v", granted, ok)
	case "answered":
		d.server.s.AnswerTaken(number(1))
	case "client", "server", "host":
		d.end(words[0], words[1:])
	default:
		d.t.Fatalf("no command %q", words[0])
	}
	play(d.ends(), 200*time.Millisecond)
}

// pair makes both ends. The words are verifiers of the server, "hold" to have nobody asked, and limits.
func (d *dialogue) pair(words []string) {
	server := Config{Logins: true, Config: control.Config{Role: keys.Server, HandWindow: time.Minute}}
	client := Config{Config: control.Config{Role: keys.Client, HandWindow: time.Minute}}
	var limits Limits
	var policy *TokenPolicy
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "reneg":
			server.Renewal, server.RenegAfter = d.duration(value), d.duration(value)
		case "tran":
			server.TranWindow, client.TranWindow = d.duration(value), d.duration(value)
		case "token":
			policy = tokenPolicy(d.t, d.duration(value), slices.Contains(words, "external"))
		case "ping":
			limits.Ping = d.duration(value)
		case "ping-restart":
			limits.PingRestart = d.duration(value)
		case "ping-exit":
			limits.PingExit = d.duration(value)
		case "inactive":
			limits.Inactive = d.duration(value)
		case "session":
			limits.Session = d.duration(value)
		case "hand":
			server.HandWindow, client.HandWindow = d.duration(value), d.duration(value)
		}
	}
	for _, e := range d.ends() {
		e.close()
	}
	d.guest, d.host = nil, nil
	d.server = newEnd(d.t, "server", server, 1, d.say)
	d.client = newEnd(d.t, "client", client, 2, d.say)
	d.client.other, d.server.other = d.server, d.client
	d.server.verify, d.server.tokens = verifiers(words), policy
	d.server.hold, d.server.slow = slices.Contains(words, "hold"), slices.Contains(words, "slow")
	d.server.timers.Limits, d.client.timers.Limits = limits, limits
	d.client.slow = slices.Contains(words, "busy")
	d.place(d.client, d.server, words, "A")
}

// visit makes the second pair, a guest and its session, the host.
func (d *dialogue) visit(words []string) {
	d.host = newEnd(d.t, "host", Config{Logins: true, Config: control.Config{Role: keys.Server, HandWindow: time.Minute}}, 3, d.say)
	d.guest = newEnd(d.t, "guest", Config{Config: control.Config{Role: keys.Client, HandWindow: time.Minute}}, 4, d.say)
	d.guest.other, d.host.other = d.host, d.guest
	d.host.verify, d.host.hold = verifiers(words), slices.Contains(words, "hold")
	d.place(d.guest, d.host, words, "B")
}

// place gives a pair its address and name: at=ADDRESS, as=USER.
func (d *dialogue) place(client, server *end, words []string, addr string) {
	for _, w := range words {
		switch name, value, _ := strings.Cut(w, "="); name {
		case "at":
			addr = value
		case "as":
			client.user = value
		}
	}
	client.addr, server.addr = addr, addr
	server.place = func(addr string) *end {
		for _, e := range []*end{d.server, d.host} {
			if e != nil && e.addr == addr && e.stage != Gone {
				return e
			}
		}
		return nil
	}
}

// end is a command for one end.
func (d *dialogue) end(name string, words []string) {
	e := map[string]*end{"client": d.client, "server": d.server, "guest": d.guest, "host": d.host}[name]
	switch words[0] {
	case "renews":
		if err := e.s.Renegotiate(present()); err != nil {
			e.say("cannot renew: %v", err)
		}
	case "renews-used":
		e.say("renews: %v", e.s.RenewUsed(Usage{Packets: 1}, present()))
	case "sends":
		e.send([]byte(strings.Join(words[1:], " ")))
	case "says":
		if err := e.s.SendText(strings.Join(words[1:], " ")); err != nil {
			e.say("cannot say it: %v", err)
		}
	case "loses": // everything that is sent to it
		e.in.Loss = 1
	case "hears":
		e.in.Loss = 0
	case "withholds": // acknowledgements, from its next key message on
		e.withholds = true
	case "doubles": // each packet that is sent to it
		e.in.Duplicate = 1
	case "opens":
		e.open()
		e.pull.Opened()
		e.update()
	case "uses": // another password, or another user name and password
		e.password = words[len(words)-1]
		if len(words) > 2 {
			e.user = words[1]
		}
	case "moves": // it sends from another address
		e.addr = words[1]
	case "restarts": // without a word, from the same address
		e.restart(d.t, words[1:])
	case "updated": // the update that it works on is in force
		e.pull.Updated(e.pull.Options.Options)
		e.update()
	case "keys":
		for id := range uint8(8) {
			if e.s.Channel() == nil {
				break
			}
			if use, ok := e.s.Channel().Usage(id); ok {
				e.say("has key %d: %d sealed, %d opened", id, use.Sealed, use.Opened)
			}
		}
	case "status":
		e.say("login %d, undecided %v, renewed %v, leaving %d", e.s.Login(), e.s.Undecided(), e.s.Renewed(), e.s.Leaving())
	default:
		d.t.Fatalf("no command %q of an end", words[0])
	}
}

func (d *dialogue) duration(s string) time.Duration {
	v, err := time.ParseDuration(s)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

func verifiers(words []string) (v Verifiers) {
	for _, w := range words {
		switch w {
		case "port":
			v |= Port
		case "script":
			v |= Script
		}
	}
	return v
}
