package daemon

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

// privileges holds user, group, chroot and context, which the process changes once everything that needs the old ones is open.
type privileges struct {
	user, group, chroot string
	uid, gid            int // -1 when not asked for
	dropped             atomic.Bool
}

// lookup resolves the names while the system's databases can be read, before any chroot.
func (p *privileges) lookup(userName, groupName, chroot string) error {
	p.user, p.group, p.chroot, p.uid, p.gid = userName, groupName, chroot, -1, -1
	if userName != "" {
		u, err := user.Lookup(userName)
		if err != nil {
			return fmt.Errorf("failed to find UID for user %s", userName)
		}
		if p.uid, err = strconv.Atoi(u.Uid); err != nil {
			return fmt.Errorf("failed to find UID for user %s", userName)
		}
	}
	if p.uid > 0 {
		if err := canKeepCapabilities(); err != nil {
			return fmt.Errorf("user %s: %w", userName, err)
		}
	}
	if groupName != "" {
		g, err := user.LookupGroup(groupName)
		if err != nil {
			return fmt.Errorf("failed to find GID for group %s", groupName)
		}
		if p.gid, err = strconv.Atoi(g.Gid); err != nil {
			return fmt.Errorf("failed to find GID for group %s", groupName)
		}
	}
	return nil
}

// forChildren are the ids that a program started now is to take, -1 for those of this process.
func (p *privileges) forChildren() (uid, gid int) {
	if p.dropped.Load() {
		return -1, -1
	}
	return p.uid, p.gid
}

// reopen opens the log file anew, for rotations that rename it. Inside a chroot its path means another file.
func (p *privileges) reopen(lg *logging.Logger) {
	if !p.dropped.Load() || p.chroot == "" {
		lg.Reopen()
	}
}

// drop gives up what there is, once: first what plugins have of it.
func (p *privileges) drop(plugins *plugin.Set, jail *config.Jail, log logging.Func) error {
	if p.dropped.Load() || !p.wanted() {
		return nil
	}
	if err := plugins.Drop(); err != nil {
		return err
	}
	p.dropped.Store(true)
	err := p.change(log)
	jail.Enter()
	return err
}

// wanted reports whether there is anything to give up.
func (p *privileges) wanted() bool { return p.uid >= 0 || p.gid >= 0 || p.chroot != "" }

// change changes root, groups and user for every thread of the process, in this order, and keeps CAP_NET_ADMIN so that
// the device and its routes can be opened again. log gets stock's lines.
func (p *privileges) change(log logging.Func) error {
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
