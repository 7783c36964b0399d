package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Every command has a synopsis, a description and an example, and starts in the group help shows it in.
func TestEveryCommandIsDocumented(t *testing.T) {
	var out bytes.Buffer
	root := NewRoot(&env.Env{Out: &out, Err: &out, Getenv: os.Getenv}, "x")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c != root && (c.Short == "" || c.Long == "" || c.Example == "" || c.GroupID == "" && c.Parent() == root) {
			t.Errorf("%s lacks a description, an example or a group", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// What is interrupted before it was done is not done, unless it was to go on until then.
func TestInterrupted(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	if err := d.Do("state WAIT"); err != nil {
		t.Fatal(err)
	}
	addr := d.ListenTCP(server.Access{})
	silent, err := net.Listen("tcp", "127.0.0.1:0") // never greets
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, tt := range []struct {
		addr, args string
		code       int
	}{
		{addr, "wait --state CONNECTED", 5},
		{silent.Addr().String(), "wait --state CONNECTED", 5},
		{silent.Addr().String(), "pid", 5},
		{silent.Addr().String(), "log", 5},
		{addr, "log -f", 0},
		{addr, "events", 0},
		{addr, "bytecount -f", 0},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(200*time.Millisecond, cancel)
		var out bytes.Buffer
		e := &env.Env{In: strings.NewReader(""), Out: &out, Err: &out, Getenv: func(string) string { return "" }}
		if code := Run(ctx, e, "x", append(strings.Fields(tt.args), "-a", tt.addr)); code != tt.code {
			t.Errorf("%s: exit code %d, want %d\n%s", tt.args, code, tt.code, out.String())
		}
		stop.Stop()
		cancel()
	}
}

// docs/json.md lists the schemas that are printed, no more and no less.
func TestSchemasAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(moongate\\.[a-z-]+/[0-9]+)`").FindAllStringSubmatch(string(b), -1) {
		listed = append(listed, m[1])
	}
	want := slices.Collect(maps.Keys(report.Documents()))
	slices.Sort(listed)
	slices.Sort(want)
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("(-printed +listed):\n%s", diff)
	}
	for _, code := range []string{"| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 4 |", "| 5 |", "| 6 |"} {
		if !strings.Contains(string(b), code) {
			t.Errorf("exit code %s is not listed", code)
		}
	}
}

// No error of Go's library reaches a user in its own words.
func TestErrorsAreInWords(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{context.DeadlineExceeded, "no answer in time"},
		{fmt.Errorf("127.0.0.1:1: %w", os.ErrDeadlineExceeded), "127.0.0.1:1: no answer in time"},
		{fmt.Errorf("the port: %w", net.ErrClosed), "the port: the connection is closed"},
		{fmt.Errorf("the answer: %w", io.ErrUnexpectedEOF), "the answer: the connection broke off in the middle of an answer"},
		{fmt.Errorf("the prompt: %w", context.Canceled), "the prompt: interrupted"},
		{fmt.Errorf("the web page: %w", syscall.ECONNRESET), "the web page: the other end reset the connection"},
	} {
		var b strings.Builder
		printError(&b, "moongate: ", tt.err)
		if got := b.String(); got != "moongate: "+tt.want+"\n" {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}
