package tlsconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/tls"
)

// groups maps the names OpenSSL and Go users write to the library's groups.
var groups = map[string]tls.CurveID{
	"x25519":             tls.X25519,
	"prime256v1":         tls.CurveP256,
	"secp256r1":          tls.CurveP256,
	"p-256":              tls.CurveP256,
	"secp384r1":          tls.CurveP384,
	"p-384":              tls.CurveP384,
	"secp521r1":          tls.CurveP521,
	"p-521":              tls.CurveP521,
	"x25519mlkem768":     tls.X25519MLKEM768,
	"secp256r1mlkem768":  tls.SecP256r1MLKEM768,
	"secp384r1mlkem1024": tls.SecP384r1MLKEM1024,
}

// unsupported are groups OpenSSL knows and the library does not: passed over, while other names are errors.
var unsupported = []string{
	"x448", "secp224r1", "secp256k1", "p-224", "brainpoolp256r1", "brainpoolp384r1", "brainpoolp512r1",
	"ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192", "mlkem512", "mlkem768", "mlkem1024", "x448mlkem1024",
}

// GroupID returns the library's id of a key exchange group.
func GroupID(name string) (tls.CurveID, bool) {
	id, ok := groups[strings.ToLower(name)]
	return id, ok
}

// versionIDs are the words of tls-version-min and tls-version-max, oldest first.
var versionIDs = []struct {
	name string
	id   uint16
}{
	{"1.0", tls.VersionTLS10}, {"1.1", tls.VersionTLS11}, {"1.2", tls.VersionTLS12}, {"1.3", tls.VersionTLS13},
}

func versionID(name string) (uint16, bool) {
	for _, v := range versionIDs {
		if v.name == name {
			return v.id, true
		}
	}
	return 0, false
}

// lineError is an error whose text is the line stock prints before it exits.
type lineError string

func (e lineError) Error() string { return string(e) }

func (c *Config) versions(o *Options) error {
	c.base.MinVersion = tls.VersionTLS12
	if o.VersionMin != "" {
		id, ok := versionID(o.VersionMin)
		switch {
		case ok:
			c.base.MinVersion = id
		case o.VersionMinOrHighest:
			c.base.MinVersion = tls.VersionTLS13
		default:
			return fmt.Errorf("unknown tls-version-min parameter: %s", o.VersionMin)
		}
	}
	if o.VersionMax != "" {
		id, ok := versionID(o.VersionMax)
		if !ok {
			return fmt.Errorf("unknown tls-version-max parameter: %s", o.VersionMax)
		}
		c.base.MaxVersion = id
	}
	if c.base.MaxVersion != 0 && c.base.MaxVersion < c.base.MinVersion {
		return fmt.Errorf("tls-version-min %s is above tls-version-max %s", o.VersionMin, o.VersionMax)
	}
	return nil
}

// suites sets cipher suites and groups. Names the library does not have are passed over with a note, as
// long as one is left, which is OpenSSL's way with its lists.
func (c *Config) suites(o *Options) error {
	if o.Ciphers != "" {
		if err := c.ciphers(o.Ciphers); err != nil {
			return err
		}
	}
	if o.CipherSuites != "" {
		for name := range strings.SplitSeq(o.CipherSuites, ":") {
			at := slices.IndexFunc(suites13, func(id uint16) bool { return tls.CipherSuiteName(id) == strings.ReplaceAll(name, "-", "_") })
			if at < 0 {
				c.note("Note: the TLS library does not have the suite %s of tls-ciphersuites", name)
				continue
			}
			if id := suites13[at]; !slices.Contains(c.base.CipherSuitesTLS13, id) {
				c.base.CipherSuitesTLS13 = append(c.base.CipherSuitesTLS13, id)
			}
		}
		if len(c.base.CipherSuitesTLS13) == 0 {
			return lineError("Failed to set restricted TLS 1.3 cipher list: " + o.CipherSuites)
		}
	}
	if o.Profile == "suiteb" && o.Ciphers == "" {
		c.base.CipherSuites = []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		}
		c.base.CurvePreferences = []tls.CurveID{tls.CurveP256, tls.CurveP384}
	}
	if o.Groups != "" {
		return c.setGroups(o.Groups)
	}
	return nil
}

// defaultGroups take the place of DEFAULT.
var defaultGroups = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}

// setGroups reads tls-groups, in the words of OpenSSL 3.5: names, DEFAULT, ? in front of what may be unknown, and * in front of what a client
// sends a key share of, which the library chooses itself.
func (c *Config) setGroups(list string) error {
	wrong := lineError("Failed to set allowed TLS group list: " + list)
	c.base.CurvePreferences = nil
	add := func(ids ...tls.CurveID) {
		for _, id := range ids {
			if !slices.Contains(c.base.CurvePreferences, id) {
				c.base.CurvePreferences = append(c.base.CurvePreferences, id)
			}
		}
	}
	for entry := range strings.SplitSeq(list, ":") {
		name := strings.TrimLeft(entry, "?*")
		id, ok := GroupID(name)
		switch {
		case ok:
			add(id)
		case name == "DEFAULT":
			add(defaultGroups...)
		case slices.Contains(unsupported, strings.ToLower(name)):
			c.note("Note: the TLS library does not have the group %s of tls-groups", name)
		case !strings.Contains(entry[:len(entry)-len(name)], "?"):
			return wrong
		}
	}
	if len(c.base.CurvePreferences) == 0 {
		return wrong
	}
	return nil
}
