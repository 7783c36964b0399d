package connect

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
)

// webPage reads an address that a server sent: only pages of the web are opened or shown.
func webPage(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", fmt.Errorf("the server wants a login at %q, which is no address of a web page", env.Clean(text))
	}
	return u.String(), nil
}

// opener is the program that opens pages, nil where there is no screen.
func opener(getenv func(string) string, page string) *exec.Cmd {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "darwin":
		cmd = exec.Command("open", page)
	case "windows":
		cmd = exec.Command("rundll32", "url.dll,FileProtocolHandler", page)
	default:
		cmd = exec.Command("xdg-open", page)
	}
	cmd.SysProcAttr = apart() // Ctrl-C at the terminal is for connect, not for the browser
	screen := runtime.GOOS == "darwin" || runtime.GOOS == "windows" || getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != ""
	if uid, gid, ok := sudoer(getenv); ok { // browsers do not run as root
		cmd.SysProcAttr = asUser(uid, gid)
		cmd.Env = os.Environ()
		if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
			cmd.Env = append(cmd.Env, "HOME="+u.HomeDir, "USER="+u.Username, "LOGNAME="+u.Username)
		}
		run := fmt.Sprintf("/run/user/%d", uid) // sudo drops what leads to the user's desktop
		if _, err := os.Stat(run); err == nil {
			cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+run, "DBUS_SESSION_BUS_ADDRESS=unix:path="+run+"/bus")
			if _, err := os.Stat(run + "/wayland-0"); err == nil && !screen {
				cmd.Env, screen = append(cmd.Env, "WAYLAND_DISPLAY=wayland-0"), true
			}
		}
	}
	if !screen {
		return nil
	}
	return cmd
}

// opening is how soon a program that cannot open the page says so.
const opening = 2 * time.Second

// open opens a page in the person's browser. It reports whether there is one.
func open(ctx context.Context, getenv func(string) string, page string) bool {
	cmd := opener(getenv, page)
	if cmd == nil || cmd.Start() != nil {
		return false
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ctx.Done():
		return true
	case err := <-ended:
		return err == nil
	case <-time.After(opening): // a browser may run longer than we do
		return true
	}
}

// quiet is the white rim of a QR code, in modules.
const quiet = 2

// code draws text as a QR code with two modules above each other in a character, "" when it is wider than width columns.
func code(text string, width int) string {
	c, err := qr.Encode(text, qr.L)
	if err != nil || width > 0 && c.Size+2*quiet > width {
		return ""
	}
	// Light modules are drawn: most terminals are dark.
	light := func(x, y int) bool { return y < c.Size+quiet && !c.Black(x, y) }
	var b strings.Builder
	for y := -quiet; y < c.Size+quiet; y += 2 {
		for x := -quiet; x < c.Size+quiet; x++ {
			switch up, down := light(x, y), light(x, y+1); {
			case up && down:
				b.WriteString("█")
			case up:
				b.WriteString("▀")
			case down:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
