//go:build linux

package generated

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// unixCommand gives a management socket one command and returns its reply.
func unixCommand(t *testing.T, path, command string) string {
	t.Helper()
	c, err := net.DialTimeout("unix", path, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "%s\n", command)
	in := bufio.NewScanner(c)
	for in.Scan() {
		if line := in.Text(); !strings.HasPrefix(line, ">") {
			return line
		}
	}
	return fmt.Sprint(in.Err())
}
