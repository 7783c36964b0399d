package client

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// What a file of auth-user-pass says, as stock 2.6.14 sent it to a server with auth-user-pass-verify via-file. A byte order mark is passed
// over, where stock takes it for a part of the name.
func TestCredentialsFile(t *testing.T) {
	for name, tt := range map[string]struct{ file, user, pass string }{
		"plain": {"u\np\n", "u", "p"}, "no final newline": {"u\np", "u", "p"}, "CRLF": {"u\r\np\r\n", "u", "p"}, "a third line": {"u\np\nq\n", "u", "p"},
		"mark": {"\ufeffu\np\n", "u", "p"}, "blanks around": {" u \n p \n", " u ", " p "}, "UTF-8": {"größe\npäß\n", "größe", "päß"},
		"Latin-1": {"gr\xf6\xdfe\np\xe4\xdf\n", "gr\xf6\xdfe", "p\xe4\xdf"}, "lone bytes": {"\xff\n\x80\xc3\n", "\xff", "\x80\xc3"},
		"control characters": {"u\x01x\np\x02\x7fy\n", "ux", "py"}, "NUL": {"u\x00v\np\x00q\n", "u", "p"}, "quotes": {"\"u\"\n'p'\n", `"u"`, "'p'"},
		"comment signs": {"#u\n;p\n", "#u", ";p"}, "backslashes": {"D\\u\np\\\\\n", `D\u`, `p\\`}, "no password": {"u\n", "u", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := &config.Options{}
			o.AuthUserPass.Enabled = true
			path := filepath.Join(t.TempDir(), "login")
			if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			o.AuthUserPass.Source = config.Source{Path: path}
			q := &questions{opts: o}
			user, pass, err := q.fileCredentials(t.Context())
			if user != tt.user || pass != tt.pass || err != nil {
				t.Errorf("%q, %q, %v; want %q, %q", user, pass, err, tt.user, tt.pass)
			}
		})
	}
}

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
