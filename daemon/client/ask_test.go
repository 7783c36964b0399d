package client

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Credentials that nobody gave in the time of one renewal are not asked for a second time by the next.
func TestCredentialsAreAskedForOnce(t *testing.T) {
	o := &config.Options{}
	o.ManagementQueryPasswords = true
	o.AuthUserPass.Enabled = true
	p := server.New(server.Config{})
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r := &report{lg: logging.Discard(), port: p}
	q := &questions{report: r, opts: o, secrets: &Secrets{}}
	a := &attempt{c: &Client{report: r, questions: q, opts: o}, opts: o, line: line{report: r}, tasks: newTasks()}
	a.ctx = ctx
	defer a.wg.Wait()
	defer cancel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	a.wg.Go(func() { _ = p.ServeConn(ctx, ours, server.Access{}) })
	_ = theirs.SetDeadline(time.Now().Add(10 * time.Second))
	lines := bufio.NewScanner(theirs)
	for range 2 { // two renewals
		a.needCredentials()
	}
	for _, want := range []string{">INFO:", ">PASSWORD:Need 'Auth'"} {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) {
			t.Fatalf("%q, want %q", lines.Text(), want)
		}
	}
	_ = theirs.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if lines.Scan() {
		t.Errorf("and then %q", lines.Text())
	}
}
