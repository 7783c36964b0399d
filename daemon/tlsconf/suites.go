package tlsconf

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/tls"
)

// suitesText has a line for each cipher suite of TLS 1.2 and older that OpenSSL has: id, OpenSSL's name, IANA's name, and the words
// of cipher lists that stand for it.
//
//go:embed suites.txt
var suitesText string

// suite is one line of suitesText.
type suite struct {
	id            uint16
	openssl, iana string
	words         []string
}

// suites are those of suitesText, which is read once.
var suites = sync.OnceValue(func() []suite {
	var all []suite
	for line := range strings.Lines(suitesText) {
		f := strings.Fields(line)
		id, err := strconv.ParseUint(f[0], 16, 16)
		if err != nil {
			continue // the line that explains
		}
		all = append(all, suite{uint16(id), f[1], f[2], f[3:]})
	}
	return all
})

// called reports whether name is OpenSSL's name of a suite, or IANA's, in which OpenVPN writes dashes.
func (s *suite) called(name string) bool {
	return name == s.openssl || strings.ReplaceAll(name, "-", "_") == s.iana ||
		strings.HasSuffix(name, "POLY1305") && strings.ReplaceAll(name, "-", "_")+"_SHA256" == s.iana
}

// suites13 are the suites of TLS 1.3, which only tls-ciphersuites speaks of, in the order of our preference.
var suites13 = []uint16{tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256, tls.TLS_AES_128_GCM_SHA256}

// SuiteID returns the id of a suite of TLS 1.2 or older that the library has, under its IANA name (with underscores, or with
// dashes as OpenVPN writes it) or OpenSSL's name.
func SuiteID(name string) (uint16, bool) {
	for _, s := range suites() {
		if s.called(name) && inLibrary(s.id) {
			return s.id, true
		}
	}
	return 0, false
}

func inLibrary(id uint16) bool { return good(id) || has(tls.InsecureCipherSuites(), id) }

// good reports whether the library has a suite and finds nothing wrong with it.
func good(id uint16) bool { return has(tls.CipherSuites(), id) }

func has(list []*tls.CipherSuite, id uint16) bool {
	return slices.ContainsFunc(list, func(s *tls.CipherSuite) bool { return s.ID == id })
}

// Suites returns the names of the suites used by default, those of TLS 1.3 and those of TLS 1.2 in the form that tls-cipher takes.
func Suites() (new13, old []string) {
	for _, id := range suites13 {
		new13 = append(new13, tls.CipherSuiteName(id))
	}
	for _, s := range tls.CipherSuites() {
		if !slices.Contains(s.SupportedVersions, tls.VersionTLS13) {
			old = append(old, strings.ReplaceAll(s.Name, "_", "-"))
		}
	}
	return new13, old
}

// SuiteName returns OpenSSL's name of a suite, as stock logs it.
func SuiteName(id uint16) string {
	for _, s := range suites() {
		if s.id == id {
			return s.openssl
		}
	}
	return tls.CipherSuiteName(id)
}

// cipherList works out a cipher list: names and words, joined by "+" for what all of them have, with "!" for never, "-" for
// not unless named again, and "+" in front, which only changes the order. all holds the suites that OpenSSL would take, ids those that the
// library has of them: the good ones of each word, or the others where a word means nothing else. The order is the
// library's. known is false for a list with an unknown command, which OpenSSL refuses.
func cipherList(list string) (all, ids []uint16, unknown []string, known bool) {
	never := make(map[uint16]bool)
	for item := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' || r == ';' }) {
		if command, ok := strings.CutPrefix(item, "@"); ok {
			level, isLevel := strings.CutPrefix(command, "SECLEVEL=")
			if command != "STRENGTH" && (!isLevel || len(level) != 1 || level[0] < '0' || level[0] > '5') {
				return nil, nil, nil, false
			}
			continue
		}
		bare := strings.TrimLeft(item, "!-+")
		found := named(bare)
		if len(found) == 0 && bare == item {
			unknown = append(unknown, item)
		}
		switch item[:len(item)-len(bare)] {
		case "":
			usable := slices.DeleteFunc(slices.Clone(found), func(id uint16) bool { return !good(id) })
			if len(usable) == 0 {
				usable = slices.DeleteFunc(slices.Clone(found), func(id uint16) bool { return !inLibrary(id) })
			}
			all, ids = append(all, found...), append(ids, usable...)
		case "+":
		default:
			for _, id := range found {
				never[id] = never[id] || item[0] == '!'
			}
			gone := func(id uint16) bool { return slices.Contains(found, id) }
			all, ids = slices.DeleteFunc(all, gone), slices.DeleteFunc(ids, gone)
		}
	}
	forbidden := func(id uint16) bool { return never[id] }
	return slices.DeleteFunc(all, forbidden), slices.DeleteFunc(ids, forbidden), unknown, true
}

// named returns the suites that an item of a cipher list stands for.
func named(item string) (ids []uint16) {
	words := strings.Split(item, "+")
	for _, s := range suites() {
		if s.called(item) || !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(s.words, w) && !s.called(w) }) {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// ciphers sets the suites of TLS 1.2 and older. A list of suites that the library does not have leaves TLS 1.3.
func (c *Config) ciphers(list string) error {
	all, ids, unknown, known := cipherList(list)
	if !known || len(all) == 0 {
		return lineError("Failed to set restricted TLS cipher list: " + list)
	}
	for _, name := range unknown {
		c.note("No valid translation found for TLS cipher '%s'", name)
	}
	if len(ids) > 0 {
		c.base.CipherSuites = ids
		return nil
	}
	if max := c.base.MaxVersion; max != 0 && max < tls.VersionTLS13 {
		return lineError(fmt.Sprintf(
			"Failed to set restricted TLS cipher list: %s (the TLS library has none of its suites; raise tls-version-max to 1.3 or name others)", list))
	}
	c.note("WARNING: the TLS library has none of the suites of tls-cipher %s: TLS 1.2 and older are not offered, TLS 1.3 is", list)
	c.base.MinVersion = tls.VersionTLS13
	return nil
}
