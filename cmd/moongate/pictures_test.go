//go:build linux

package main

import (
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hinshun/vt10x"

	"github.com/moongate-vpn/moongate/mgmt/server"
)

const pictures = "../../docs/pictures"

// The pictures of the documents are screens of real sessions: make pictures takes them anew.
func TestPictures(t *testing.T) {
	if !*updateDocs {
		for _, name := range []string{"top.svg", "prompt.svg"} {
			if st, err := os.Stat(filepath.Join(pictures, name)); err != nil || st.Size() < 2000 {
				t.Errorf("%s: %v; make pictures makes it", name, err)
			}
		}
		return
	}
	d := topDaemon(t, 0)
	for i, name := range []string{"laptop-joe", "laptop-ann", "lab-one", "lab-two", "office-printer", "phone-ann"} {
		if err := d.Do(fmt.Sprintf("peer %d 1 %s 192.0.2.%d:%d", i, name, 7+i, 40000+i)); err != nil {
			t.Fatal(err)
		}
	}
	addr := d.ListenTCP(server.Access{})
	top := openTop(t, 100, 24, "-a", addr)
	top.has("6 clients")
	for i := range 25 {
		_ = d.Do(fmt.Sprintf("traffic %d %d", 100000+i*i*40000, 200000+i*90000))
		time.Sleep(100 * time.Millisecond)
	}
	_ = d.Do("client connect 6 1 common_name=phone-joe username=joe")
	_ = d.Do("client established 2 common_name=lab-one")
	top.press("\x1b[B")
	top.has("phone-joe")
	svg(t, "top.svg", top.vt)
	top.press("q")

	cmd := moongate("attach", addr, "--history", "")
	prompt := openScreen(t, cmd, 100, 24)
	prompt.has("moongate> ")
	for _, l := range []string{"clients --sort name --columns name,real,since", "state on", "kill 'lab-*' --dry-run"} {
		prompt.press(l + "\r")
		time.Sleep(200 * time.Millisecond)
	}
	_ = d.Do("state RECONNECTING SIGUSR1")
	_ = d.Do("state CONNECTED SUCCESS 10.8.0.1")
	prompt.press("help cli")
	prompt.has("help cli")
	prompt.has("state CONNECTED")
	svg(t, "prompt.svg", prompt.vt)
}

// openScreen starts a program on a pseudo-terminal with a model of its screen.
func openScreen(t *testing.T, cmd *exec.Cmd, cols, rows int) *topScreen {
	t.Helper()
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", "HOME="+t.TempDir(), "TZ=UTC")
	return onScreen(t, cmd, cols, rows)
}

// svg writes a screen as a picture.
func svg(t *testing.T, name string, vt vt10x.Terminal) {
	t.Helper()
	const w, h = 8.4, 17
	cols, rows := vt.Size()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" font-family="DejaVu Sans Mono,Menlo,Consolas,monospace" font-size="14">`+"\n", float64(cols)*w+20, rows*h+20)
	b.WriteString(`<rect width="100%" height="100%" rx="6" fill="#1b1d23"/>` + "\n")
	colours := map[vt10x.Color]string{0: "#1b1d23", 1: "#e06c75", 2: "#98c379", 3: "#e5c07b", 4: "#61afef", 5: "#c678dd", 6: "#56b6c2", 7: "#d7dae0", 8: "#7f848e"}
	pick := func(c vt10x.Color, otherwise string) string {
		if s, ok := colours[c]; ok {
			return s
		}
		return otherwise
	}
	for y := range rows {
		for x := range cols {
			g := vt.Cell(x, y)
			fg, bg := pick(g.FG, "#d7dae0"), pick(g.BG, "#1b1d23")
			if g.FG == vt10x.DefaultBG || g.BG == vt10x.DefaultFG { // shown inverse
				fg, bg = "#1b1d23", "#d7dae0"
			}
			if bg != "#1b1d23" {
				fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, 10+float64(x)*w, 10+y*h, w+0.3, h, bg)
			}
			if g.Char != 0 && g.Char != ' ' {
				fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="%s">%s</text>`, 10+float64(x)*w, 10+y*h+13, fg, html.EscapeString(string(g.Char)))
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("</svg>\n")
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pictures, name), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
