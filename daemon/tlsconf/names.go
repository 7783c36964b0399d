package tlsconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/tls"
)

// openssl maps OpenSSL's names of TLS 1.2 suites to the library's ids. IANA names come from the library.
var openssl = map[string]uint16{
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES128-SHA256":     tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
	"ECDHE-RSA-AES128-SHA256":       tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"AES256-GCM-SHA384":             tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	"AES128-GCM-SHA256":             tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	"AES128-SHA256":                 tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	"AES256-SHA":                    tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	"AES128-SHA":                    tls.TLS_RSA_WITH_AES_128_CBC_SHA,
}

// suites13 are the suites of TLS 1.3, which only tls-ciphersuites speaks of.
var suites13 = []uint16{tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256, tls.TLS_AES_128_GCM_SHA256}

// SuiteID returns the library's id of a suite under its IANA name (with underscores, or with dashes as
// OpenVPN writes it) or OpenSSL's name.
func SuiteID(name string) (uint16, bool) {
	if id, ok := openssl[name]; ok {
		return id, true
	}
	iana := strings.ReplaceAll(name, "-", "_")
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if s.Name == iana || strings.TrimSuffix(s.Name, "_SHA256") == iana && strings.HasSuffix(iana, "POLY1305") {
			return s.ID, true
		}
	}
	return 0, false
}

// SuiteName returns OpenSSL's name of a suite, which is what stock logs.
func SuiteName(id uint16) string {
	for name, have := range openssl {
		if have == id {
			return name
		}
	}
	return tls.CipherSuiteName(id)
}

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
		ids := c.cipherList(o.Ciphers)
		if len(ids) == 0 {
			return lineError("Failed to set restricted TLS cipher list: " + o.Ciphers)
		}
		c.base.CipherSuites = ids
	}
	if o.CipherSuites != "" {
		for name := range strings.SplitSeq(o.CipherSuites, ":") {
			id, ok := SuiteID(name)
			if !ok || !slices.Contains(suites13, id) {
				c.note("Note: the TLS library does not have the suite %s of tls-ciphersuites", name)
				continue
			}
			if !slices.Contains(c.base.CipherSuitesTLS13, id) {
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
		c.base.CurvePreferences = nil
		for name := range strings.SplitSeq(o.Groups, ":") {
			id, ok := GroupID(name)
			if !ok && slices.Contains(unsupported, strings.ToLower(name)) {
				c.note("Note: the TLS library does not have the group %s of tls-groups", name)
				continue
			}
			if !ok {
				return lineError("Failed to set allowed TLS group list: " + o.Groups)
			}
			c.base.CurvePreferences = append(c.base.CurvePreferences, id)
		}
		if len(c.base.CurvePreferences) == 0 {
			return lineError("Failed to set allowed TLS group list: " + o.Groups)
		}
	}
	return nil
}

// cipherList reads a list in OpenSSL's cipher string form as far as single suites go: names, names taken
// away with "!" or "-", and the words for "what the library thinks good".
func (c *Config) cipherList(list string) []uint16 {
	var ids []uint16
	for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		if bare := strings.TrimLeft(name, "!-"); bare != name {
			if id, ok := SuiteID(bare); ok {
				ids = slices.DeleteFunc(ids, func(have uint16) bool { return have == id })
			}
			continue
		}
		switch name {
		case "DEFAULT", "HIGH", "ALL", "ECDHE", "EECDH", "kEECDH", "ECDHE+AESGCM", "EECDH+AESGCM":
			for _, s := range tls.CipherSuites() {
				if slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
					ids = append(ids, s.ID)
				}
			}
			continue
		}
		id, ok := SuiteID(name)
		if !ok {
			if !strings.HasPrefix(name, "@") {
				c.note("No valid translation found for TLS cipher '%s'", name)
			}
			continue
		}
		ids = append(ids, id)
	}
	return ids
}
