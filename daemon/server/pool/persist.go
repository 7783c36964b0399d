package pool

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Load reads a persist file: one line `CN,IPv4,IPv6` a client, either address may be missing, and the two-field
// line `CN,IPv4` of old releases. Lines that begin with '#' or ';' are comments. With fixed set, every entry is
// reserved for its common name for good (a persist file that is never rewritten).
//
// Entries outside the pool, or of a slot already taken, are skipped; each is reported to skipped with the line
// and the reason. The error is that of r.
func (p *Pool) Load(r io.Reader, fixed bool, skipped func(line, reason string)) error {
	for in := bufio.NewReaderSize(r, maxLine); ; {
		b, more, err := in.ReadLine()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if more { // nothing that this daemon writes: the disk lost it, or it is no such file
			skipped(string(b[:40])+"...", "the line is too long")
			for more && err == nil {
				_, more, err = in.ReadLine()
			}
			continue
		}
		line := strings.TrimSpace(strings.TrimPrefix(string(b), "\ufeff")) // some editors begin a file so
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		cn, i, reason := p.entry(line)
		if reason != "" {
			skipped(line, reason)
			continue
		}
		s := &p.slots[i]
		if s.commonName != "" {
			skipped(line, "the address is taken by "+s.commonName)
			continue
		}
		s.commonName = cn
		p.last[cn] = i
		// A remembered slot goes to the end of the chain: newcomers get the others first.
		p.unlink(i)
		if fixed {
			s.fixed = true
		} else {
			p.release(i)
		}
	}
}

// maxLine is how many bytes a line of a persist file may have: a name and two addresses have far fewer.
const maxLine = 4096

// entry parses a line of a persist file into a common name and a slot, or tells why not.
func (p *Pool) entry(line string) (cn string, i int, reason string) {
	fields := strings.Split(line, ",")
	if len(fields) < 2 || len(fields) > 3 || fields[0] == "" {
		return "", none, "not of the form CN,IPv4,IPv6"
	}
	var addrs [2]netip.Addr
	for k, f := range fields[1:] {
		if f == "" {
			continue
		}
		a, err := netip.ParseAddr(f)
		if err != nil || a.Is4() != (k == 0) {
			return "", none, fmt.Sprintf("bad address %q", f)
		}
		addrs[k] = a
	}
	i = p.slotOf(addrs[0], addrs[1])
	if i == none {
		return "", none, fmt.Sprintf("pool: address out of pool range for CN=%s", fields[0])
	}
	return fields[0], i, ""
}

// Store writes the persist file: every slot that a client holds or held last, in the order of the addresses.
// Under net30 the IPv4 address is the base of the block.
func (p *Pool) Store(w io.Writer) error {
	bw := bufio.NewWriter(w)
	for i := range p.slots {
		cn := p.slots[i].commonName
		if cn == "" || strings.ContainsAny(cn, ",\n") {
			continue // a name that the format cannot carry is forgotten rather than written wrong
		}
		l := p.lease(i)
		var a4, a6 string
		if l.IPv4.IsValid() {
			if p.cfg.Net30 {
				l.IPv4 = addr4(v4(l.IPv4) &^ 3)
			}
			a4 = l.IPv4.String()
		}
		if l.IPv6.IsValid() {
			a6 = l.IPv6.String()
		}
		fmt.Fprintf(bw, "%s,%s,%s\n", cn, a4, a6)
	}
	return bw.Flush()
}
