package connect

import (
	"fmt"
	"net/url"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

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
	switch {
	case runtime.GOOS == "darwin":
		return exec.Command("open", page)
	case runtime.GOOS == "windows":
		return exec.Command("rundll32", "url.dll,FileProtocolHandler", page)
	case getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "":
		return nil
	}
	return exec.Command("xdg-open", page)
}

// open opens a page in the person's browser. It reports whether there is one.
func open(getenv func(string) string, page string) bool {
	cmd := opener(getenv, page)
	if cmd == nil {
		return false
	}
	uid, err1 := strconv.ParseUint(getenv("SUDO_UID"), 10, 32)
	gid, err2 := strconv.ParseUint(getenv("SUDO_GID"), 10, 32)
	if err1 == nil && err2 == nil { // browsers do not run as root
		cmd.SysProcAttr = asUser(uint32(uid), uint32(gid))
	}
	if cmd.Start() != nil {
		return false
	}
	go func() { _ = cmd.Wait() }() // a browser may run longer than we do
	return true
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
