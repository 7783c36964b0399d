package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The page shows the client of a server, stock's or ours, disconnects it, and its ban holds.
func TestWebPage(t *testing.T) {
	for name, start := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			ccd := t.TempDir()
			s := start(t, l.server, l.serverArgs("--management", l.file("s.sock"), "unix", "--client-config-dir", ccd))
			s.WaitLine(t, up, upLimit)
			c := stock(t, l.client, l.clientArgs("--nobind", "--connect-retry", "1", "1"))
			c.WaitLine(t, up, upLimit)

			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			page := exec.CommandContext(ctx, program(t), "-a", l.file("s.sock"), "web", "--listen", "127.0.0.1:0", "--ccd", ccd)
			page.Args[0] = "moongate" // under its own name it is no daemon
			page.Cancel = func() error { return page.Process.Signal(syscall.SIGTERM) }
			out, err := page.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var complaints bytes.Buffer
			page.Stderr = &complaints
			if err := page.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				cancel()
				_ = page.Wait() // it was ended
				if t.Failed() {
					t.Logf("the page says: %s", complaints.String())
				}
			}()
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			own, secret, _ := strings.Cut(strings.TrimSpace(line), "#")
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			browser := http.Client{Jar: jar, Timeout: upLimit}
			token := ""
			ask := func(method, path string, in any, into any) (status int) {
				t.Helper()
				b, err := json.Marshal(in)
				if err != nil {
					t.Fatal(err)
				}
				r, err := http.NewRequestWithContext(ctx, method, own+path, bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("X-Moongate-Token", token)
				resp, err := browser.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode == http.StatusOK {
					if err := json.Unmarshal(text, into); err != nil {
						t.Fatalf("%s: %v", text, err)
					}
				}
				return resp.StatusCode
			}
			var me struct{ Role, Token string }
			if code := ask("POST", "login", map[string]string{"password": secret}, &me); code != http.StatusOK || me.Role != "admin" {
				t.Fatalf("login: %d %+v", code, me)
			}
			token = me.Token
			var list struct {
				Clients []struct {
					ID   *int64 `json:"cid"`
					Name string `json:"common_name"`
				}
			}
			waitFor(t, "the client on the page", func() bool {
				return ask("GET", "api/clients", nil, &list) == http.StatusOK && len(list.Clients) == 1 && list.Clients[0].Name == "client1"
			})
			from := c.Lines()
			var done struct {
				Banned bool
				Text   string
			}
			if code := ask("POST", "api/kill", map[string]any{"id": fmt.Sprint(*list.Clients[0].ID), "ban": true}, &done); code != http.StatusOK || !done.Banned || !strings.Contains(done.Text, filepath.Join(ccd, "client1")) {
				t.Fatalf("kill: %d %+v", code, done)
			}
			c.Signal(t, syscall.SIGUSR1) // it has not noticed yet
			c.WaitLineAfter(t, from, "AUTH_FAILED", upLimit)
		})
	}
}
