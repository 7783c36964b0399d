package netconf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ipv6Settings is where Linux tells whether IPv6 is on.
const ipv6Settings = "/proc/sys/net/ipv6"

// IPv6Disabled reports whether the system refuses IPv6 addresses on a device: disabled by sysctl, or not in the kernel at all. It is
// false where the system does not tell.
func IPv6Disabled(dev string) bool { return ipv6Disabled(ipv6Settings, dev) }

func ipv6Disabled(settings, dev string) bool {
	if _, err := os.Stat(filepath.Dir(settings)); err != nil {
		return false
	}
	if _, err := os.Stat(settings); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	b, err := os.ReadFile(filepath.Join(settings, "conf", dev, "disable_ipv6"))
	return err == nil && strings.TrimSpace(string(b)) == "1"
}
