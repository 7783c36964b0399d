package daemon

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// privileges are what the process gives up once everything that needs them is open.
type privileges struct {
	user, group, chroot string
	uid, gid            int // -1 when not asked for
}

// lookupPrivileges resolves the names while the system's databases can be read, before any chroot.
func lookupPrivileges(userName, groupName, chroot string) (*privileges, error) {
	p := &privileges{user: userName, group: groupName, chroot: chroot, uid: -1, gid: -1}
	if userName != "" {
		u, err := user.Lookup(userName)
		if err != nil {
			return nil, fmt.Errorf("failed to find UID for user %s", userName)
		}
		if p.uid, err = strconv.Atoi(u.Uid); err != nil {
			return nil, fmt.Errorf("failed to find UID for user %s", userName)
		}
	}
	if p.uid > 0 {
		if err := canKeepCapabilities(); err != nil {
			return nil, fmt.Errorf("user %s: %w", userName, err)
		}
	}
	if groupName != "" {
		g, err := user.LookupGroup(groupName)
		if err != nil {
			return nil, fmt.Errorf("failed to find GID for group %s", groupName)
		}
		if p.gid, err = strconv.Atoi(g.Gid); err != nil {
			return nil, fmt.Errorf("failed to find GID for group %s", groupName)
		}
	}
	return p, nil
}

// wanted reports whether there is anything to give up.
func (p *privileges) wanted() bool { return p.uid >= 0 || p.gid >= 0 || p.chroot != "" }

// drop changes root, groups and user for every thread of the process, in this order, and keeps CAP_NET_ADMIN so that
// the device and its routes can be opened again. log gets stock's lines.
func (p *privileges) drop(log logging.Func) error {
	if p.chroot != "" {
		if err := syscall.Chroot(p.chroot); err != nil {
			return fmt.Errorf("chroot to '%s' failed: %w", p.chroot, err)
		}
		if err := os.Chdir("/"); err != nil {
			return fmt.Errorf("cd to '/' failed: %w", err)
		}
		log(logging.Info, "chroot to '%s' and cd to '/' succeeded", p.chroot)
	}
	keep := p.uid > 0
	var keepErr error
	if keep {
		keepErr = keepCapabilities()
	}
	if p.gid >= 0 {
		if err := syscall.Setgid(p.gid); err != nil {
			return fmt.Errorf("setgid('%s') failed: %w", p.group, err)
		}
		if err := syscall.Setgroups(nil); err != nil {
			return fmt.Errorf("setgroups('%s') failed: %w", p.group, err)
		}
	}
	if p.uid >= 0 {
		if err := syscall.Setuid(p.uid); err != nil {
			return fmt.Errorf("setuid('%s') failed: %w", p.user, err)
		}
		log(logging.Info, "UID set to %s", p.user)
	}
	if p.gid >= 0 {
		log(logging.Info, "GID set to %s", p.group)
	}
	if keep {
		if keepErr == nil {
			keepErr = onlyNetAdmin()
		}
		if keepErr != nil {
			log(logging.Info, "WARNING: could not retain CAP_NET_ADMIN: %v", keepErr)
		} else {
			log(logging.Info, "Capabilities retained: CAP_NET_ADMIN")
		}
	}
	return nil
}
