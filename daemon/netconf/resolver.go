package netconf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/inplace"
)

// Resolvers are the name servers of a tunnel.
type Resolvers struct {
	Dev     string
	Servers []netip.AddrPort // port 0: the usual one
	SNI     string           // name of the servers for TLS, may be empty
	Search  []string         // domains to complete names with
	Domains []string         // domains the servers know; none: all
	DNSSEC  string           // "yes", "no", "optional" or empty
	TLS     bool             // DNS over TLS
}

// ResolverOp is a change of the host's resolvers in force, with all that taking it back needs.
type ResolverOp struct {
	Way  string `json:"way,omitempty"`  // one of the ways below; empty: none in force
	Dev  string `json:"dev,omitempty"`  // of systemd-resolved and resolvconf
	Path string `json:"path,omitempty"` // of the file
	ID   string `json:"id,omitempty"`   // of our layer in the file
}

// The ways to tell a host its resolvers, by preference.
const (
	wayResolved   = "systemd-resolved" // with resolvectl; forgets what it was told with the device
	wayResolvconf = "resolvconf"       // Debian's, openresolv, systemd's
	wayFile       = "resolv.conf"      // see layers
)

// ResolverHost is the host whose resolvers change. The zero value is this one.
type ResolverHost struct {
	Root string                                                                 // of its files
	Look func(program string) bool                                              // whether it has a program
	Run  func(ctx context.Context, stdin, program string, args ...string) error // runs one
}

// resolverDeadline bounds each program that sets resolvers.
const resolverDeadline = 10 * time.Second

func (h *ResolverHost) look(program string) bool {
	if h.Look != nil {
		return h.Look(program)
	}
	_, err := exec.LookPath(program)
	return err == nil
}

func (h *ResolverHost) run(ctx context.Context, stdin, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, resolverDeadline)
	defer cancel()
	if h.Run != nil {
		return h.Run(ctx, stdin, program, args...)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(stdin), time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out[:min(len(out), 200)])))
	}
	return nil
}

// plan chooses the way to set the resolvers of a device.
func (h *ResolverHost) plan(dev, id string) ResolverOp {
	_, err := os.Stat(filepath.Join(h.Root, "/run/systemd/resolve"))
	switch {
	case err == nil && h.look("resolvectl"):
		return ResolverOp{Way: wayResolved, Dev: dev}
	case h.look("resolvconf"):
		return ResolverOp{Way: wayResolvconf, Dev: dev}
	default:
		return ResolverOp{Way: wayFile, Path: filepath.Join(h.Root, "/etc/resolv.conf"), ID: id}
	}
}

// set does what plan planned.
func (h *ResolverHost) set(ctx context.Context, op ResolverOp, r Resolvers) error {
	switch op.Way {
	case wayResolved:
		for _, args := range r.resolvectl() {
			if err := h.run(ctx, "", "resolvectl", args...); err != nil {
				return err
			}
		}
		return nil
	case wayResolvconf:
		text, err := r.resolvConf()
		if err != nil {
			return err
		}
		return h.run(ctx, text, "resolvconf", "-a", op.Dev+".openvpn")
	default:
		text, err := r.resolvConf()
		if err != nil {
			return err
		}
		return editFile(op.Path, func(old string) string { return addLayer(old, op.ID, text) })
	}
}

// undo takes a change back. Others may have changed the resolvers since: their changes stay.
func (h *ResolverHost) undo(ctx context.Context, op ResolverOp) error {
	switch op.Way {
	case wayResolved:
		return h.run(ctx, "", "resolvectl", "revert", op.Dev)
	case wayResolvconf:
		return h.run(ctx, "", "resolvconf", "-d", op.Dev+".openvpn")
	case wayFile:
		return editFile(op.Path, func(old string) string { return removeLayer(old, op.ID) })
	}
	return nil
}

// resolvectl are the commands for systemd-resolved.
func (r Resolvers) resolvectl() [][]string {
	servers := []string{"dns", r.Dev, "--"} // a server names the domains: none is to be taken for an option
	for _, s := range r.Servers {
		text := s.Addr().String()
		if s.Port() != 0 {
			text = s.String()
		}
		if r.SNI != "" {
			text += "#" + r.SNI
		}
		servers = append(servers, text)
	}
	domains := append([]string{"domain", r.Dev, "--"}, r.Search...)
	for _, d := range r.Domains {
		domains = append(domains, "~"+d)
	}
	if len(r.Domains) == 0 {
		domains = append(domains, "~.")
	}
	all := [][]string{servers, domains}
	if mode := map[string]string{"yes": "yes", "no": "no", "optional": "allow-downgrade"}[r.DNSSEC]; mode != "" {
		all = append(all, []string{"dnssec", r.Dev, mode})
	}
	if r.TLS {
		all = append(all, []string{"dnsovertls", r.Dev, "yes"})
	}
	return all
}

// resolvConf are the lines of resolv.conf, which knows neither ports nor TLS nor domains of servers.
func (r Resolvers) resolvConf() (string, error) {
	if r.TLS || r.DNSSEC == "yes" {
		return "", errors.New("DNS over TLS and DNSSEC need systemd-resolved")
	}
	var b strings.Builder
	for _, s := range r.Servers {
		if s.Port() == 0 || s.Port() == 53 {
			fmt.Fprintf(&b, "nameserver %s\n", s.Addr())
		}
	}
	if b.Len() == 0 {
		return "", errors.New("a resolver with another port than 53 needs systemd-resolved")
	}
	if len(r.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(r.Search, " "))
	}
	return b.String(), nil
}

// A layer of ours hides the file that was there before, and keeps it. Several daemons put theirs on top of each other and may
// leave in any order; what others append stays below.
//
//	# moongate resolvers ID
//	nameserver 192.0.2.53
//	# moongate kept
//	#| what the file was, line by line
//	# moongate end ID
const (
	layerBegin = "# moongate resolvers "
	layerKept  = "# moongate kept"
	layerEnd   = "# moongate end "
	layerLine  = "#| "
)

func addLayer(file, id, text string) string {
	var b strings.Builder
	b.WriteString(layerBegin + id + "\n" + text + layerKept + "\n")
	if file != "" {
		for line := range strings.SplitSeq(strings.TrimSuffix(file, "\n"), "\n") {
			b.WriteString(layerLine + line + "\n")
		}
	}
	b.WriteString(layerEnd + id + "\n")
	return b.String()
}

// removeLayer is the file without a layer, as it is where it has none.
func removeLayer(file, id string) string {
	at := strings.Index(file, layerBegin)
	if at != 0 && (at < 0 || file[at-1] != '\n') {
		return file
	}
	above, rest := file[:at], file[at+len(layerBegin):]
	name, rest, _ := strings.Cut(rest, "\n")
	text, rest, ok := strings.Cut(rest, layerKept+"\n")
	end := layerEnd + name + "\n"
	var kept, after string
	if strings.HasPrefix(rest, end) {
		after = rest[len(end):]
	} else if kept, after, ok = strings.Cut(rest, "\n"+end); ok {
		kept += "\n"
	}
	if !ok {
		return file // cut short by another program
	}
	var below strings.Builder
	for line := range strings.Lines(kept) {
		below.WriteString(strings.TrimPrefix(line, layerLine))
	}
	if name == id {
		return above + below.String() + after
	}
	return above + addLayer(removeLayer(below.String(), id), name, text) + after
}

// maxResolvConf bounds what is read of resolv.conf.
const maxResolvConf = 1 << 20

// editFile replaces a file by a new one with its mode, in one step, or writes into it where it cannot be replaced, as with
// a file mounted into a container. Links are followed, a missing file counts as empty.
func editFile(path string, edit func(string) string) error {
	if at, err := filepath.EvalSymlinks(path); err == nil {
		path = at
	}
	old, err := os.ReadFile(path)
	switch {
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	case len(old) > maxResolvConf:
		return fmt.Errorf("%s is longer than %d bytes", path, maxResolvConf)
	}
	text := edit(string(old))
	if text == string(old) {
		return nil
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	next, err := os.CreateTemp(filepath.Dir(path), ".resolv.conf.moongate-")
	if err != nil {
		return rewrite(path, old, []byte(text), mode)
	}
	defer os.Remove(next.Name())
	_, err = next.WriteString(text)
	if err = errors.Join(err, next.Chmod(mode), next.Close()); err != nil {
		return err
	}
	if err = os.Rename(next.Name(), path); errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) {
		return rewrite(path, old, []byte(text), mode)
	}
	return err
}

// rewrite writes into a file in its place. On a full disk it stays as it was.
func rewrite(path string, old, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	return errors.Join(inplace.Rewrite(f, old, text), f.Close())
}
