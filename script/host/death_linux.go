package host

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// lastWords keeps the beginning of what a process writes to its standard error: Go's runtime says there why it ends.
type lastWords struct{ text []byte }

// Write implements io.Writer.
func (w *lastWords) Write(b []byte) (int, error) {
	if room := maxLastWords - len(w.text); room > 0 {
		w.text = append(w.text, b[:min(room, len(b))]...)
	}
	return len(b), nil
}

const maxLastWords = 4 << 10

// why tells, in brackets, more about a death than the exit status does, "" when nothing is known.
func (c *Child) why() string {
	first := ""
	for line := range strings.Lines(string(c.complaint.text)) {
		if first == "" {
			first = strings.TrimSpace(line)
		}
		for _, word := range []string{"fatal error: ", "panic: "} {
			if strings.HasPrefix(line, word) {
				return " (" + strings.TrimSpace(line) + ")"
			}
		}
	}
	if first != "" {
		return " (" + first + ")"
	}
	status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() && status.Signal() == syscall.SIGKILL && oomKills() > c.oomKills {
		return " (meanwhile the kernel has killed for want of memory)"
	}
	return ""
}

// oomKills is how many processes the kernel has killed for want of memory, 0 if that is not known.
func oomKills() uint64 {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(count), 10, 64)
			return n
		}
	}
	return 0
}
