package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// dataChannelCiphers are the names data-ciphers may hold, in OpenSSL's spelling.
var dataChannelCiphers = []string{
	"AES-256-GCM", "AES-192-GCM", "AES-128-GCM", "CHACHA20-POLY1305",
	"AES-256-CBC", "AES-192-CBC", "AES-128-CBC", "AES-256-CFB", "AES-192-CFB", "AES-128-CFB",
	"AES-256-OFB", "AES-192-OFB", "AES-128-OFB", "none",
	"DES-EDE3-CBC", "DES-EDE-CBC", "DES-EDE3-CFB", "DES-EDE-CFB", "DES-EDE3-OFB", "DES-EDE-OFB",
}

// legacyCiphers may stand in data-ciphers beside "providers legacy", and in cipher and data-ciphers-fallback always: those name one
// on purpose.
var legacyCiphers = []string{
	"BF-CBC", "CAST5-CBC", "DES-CBC", "BF-CFB", "CAST5-CFB", "DES-CFB", "BF-OFB", "CAST5-OFB", "DES-OFB",
}

// otherNames are OpenSSL's second names of ciphers.
var otherNames = map[string]string{
	"AES128": "AES-128-CBC", "AES192": "AES-192-CBC", "AES256": "AES-256-CBC", "DES3": "DES-EDE3-CBC",
	"ID-AES128-GCM": "AES-128-GCM", "ID-AES192-GCM": "AES-192-GCM", "ID-AES256-GCM": "AES-256-GCM",
	"BF": "BF-CBC", "BLOWFISH": "BF-CBC", "CAST": "CAST5-CBC", "CAST-CBC": "CAST5-CBC", "DES": "DES-CBC",
}

// foreignCipher matches ciphers that stock has from OpenSSL and that no library of ours has.
var foreignCipher = regexp.MustCompile(`(?i)^(aes-(128|192|256)-(cfb1|cfb8)|(aria|camellia)-(128|192|256)-(cbc|cfb|cfb1|cfb8|ofb)|aria-(128|192|256)-gcm|` +
	`(aria|camellia)(128|192|256)|sm4(-(cbc|cfb|ofb))?|des-ede3-(cfb1|cfb8))$`)

// defaultCiphers take the place of DEFAULT in data-ciphers.
var defaultCiphers = []string{"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"}

// maxCipherList is the longest list that fits into what peers are told.
const maxCipherList = 127

// ShortBlocks is the warning about a cipher of 64-bit blocks, whose name goes in.
const ShortBlocks = "WARNING: INSECURE cipher (%s) with block size less than 128 bit (64 bit).  This allows attacks like SWEET32.  " +
	"Mitigate by using a --cipher with a larger block size (e.g. AES-256-CBC). Support for these insecure ciphers will be removed in OpenVPN 2.7."

// NoEncryption is the warning about a data channel without a cipher.
const NoEncryption = "******* WARNING *******: '--cipher none' was specified. This means NO encryption will be performed and tunnelled data WILL be " +
	"transmitted in clear text over the network! PLEASE DO RECONSIDER THIS SETTING!"

// canonicalCipher finds a cipher by one of its names, whatever the case of its letters, with legacy among the legacy ones too.
func canonicalCipher(name string, legacy bool) (string, bool) {
	if n, ok := otherNames[strings.ToUpper(name)]; ok {
		name = n
	}
	same := func(c string) bool { return strings.EqualFold(c, name) }
	if n := slices.IndexFunc(dataChannelCiphers, same); n >= 0 {
		return dataChannelCiphers[n], true
	}
	if n := slices.IndexFunc(legacyCiphers, same); n >= 0 && legacy {
		return legacyCiphers[n], true
	}
	return name, false
}

// cipherName matches the names of ciphers that some version of OpenVPN has had. Not all of them are here: a name in cipher need not
// be used, as long as peers agree on another.
var cipherName = regexp.MustCompile(`(?i)^(none|chacha20-poly1305|id-aes(128|192|256)-gcm|(aes|aria|camellia)(128|192|256)|` +
	`((aes|aria|camellia)-(128|192|256)|sm4|seed|idea|bf|cast5|rc2|rc2-40|rc2-64|des|des-ede|des-ede3|desx)-(cbc|cfb|cfb1|cfb8|ofb|gcm))$`)

func isCipher(name string) bool { return cipherName.MatchString(name) }

// ciphers applies the rules of cipher, data-ciphers and data-ciphers-fallback.
func (p *parser) ciphers() error {
	o := p.o
	if o.DataCiphers == nil {
		o.DataCiphers = defaultCiphers
	}
	list, err := p.cipherList(o.DataCiphers)
	if err != nil {
		return err
	}
	o.DataCiphers = list
	spelt := o.Cipher // stock shows it so, and looks for it so in data-ciphers
	if c, ok := canonicalCipher(o.Cipher, true); ok {
		o.Cipher = c
	}
	if c, ok := canonicalCipher(o.DataCiphersFallback, true); ok {
		o.DataCiphersFallback = c
	}
	if o.DataCiphersFallback == "none" {
		p.warn(NoEncryption)
	}
	if (o.TLSServer || o.TLSClient || o.Secret.Set()) && !isDigest(o.Auth) {
		err := fatalf("Message hash algorithm '%s' not found", o.Auth)
		err.About = "auth"
		return err
	}
	if fallback := o.DataCiphersFallback; o.Cipher != "" && !isCipher(o.Cipher) {
		return notSupported("cipher", o.Cipher)
	} else if o.Cipher == "" && fallback != "" && !isCipher(fallback) {
		return notSupported("data-ciphers-fallback", fallback)
	}
	if o.CompatMode.before(2, 4, 0) {
		if !o.CipherDefined {
			o.Cipher = "BF-CBC"
		}
		if o.DataCiphersFallback == "" {
			o.DataCiphersFallback = o.Cipher
		}
	}
	if o.Pull || o.ModeServer {
		p.negotiatedCipher(spelt)
	} else {
		o.fixedCipher()
	}
	return nil
}

// fixedCipher is for peers that do not pull: they use cipher where negotiation fails.
func (o *Options) fixedCipher() {
	if o.Cipher == "" {
		o.Cipher = "BF-CBC"
	}
	if o.DataCiphersFallback == "" && o.CipherDefined {
		o.DataCiphersFallback = o.Cipher
	}
}

// negotiatedCipher is for those that do: cipher counts only as far as data-ciphers has it. spelt is cipher as it was given.
func (p *parser) negotiatedCipher(spelt string) {
	o := p.o
	switch {
	case o.Cipher == "":
		if o.DataCiphersFallback == "" {
			p.note(logging.Info, "Note: --cipher is not set. OpenVPN versions before 2.5 defaulted to BF-CBC as fallback when cipher negotiation failed in "+
				"this case. If you need this fallback please add '--data-ciphers-fallback BF-CBC' to your configuration and/or add BF-CBC "+
				"to --data-ciphers."+o.fallbackExample())
		}
	case slices.Contains(o.DataCiphers, spelt):
	case o.CompatMode.before(2, 5, 0):
		if !slices.Contains(o.DataCiphers, o.Cipher) {
			o.DataCiphers = append(slices.Clip(o.DataCiphers), o.Cipher)
		}
	case o.Cipher == o.DataCiphersFallback:
	default:
		p.warn("DEPRECATED OPTION: --cipher set to '%s' but missing in --data-ciphers (%s). OpenVPN ignores --cipher for cipher "+
			"negotiations. ", spelt, strings.Join(o.DataCiphers, ":"))
	}
}

// fallbackExample is the example that 2.7 adds to its note about a missing cipher.
func (o *Options) fallbackExample() string {
	if o.Compat != Compat27 {
		return ""
	}
	shown := "DEFAULT"
	if !slices.Equal(o.DataCiphers, defaultCiphers) {
		shown = strings.Join(o.DataCiphers, ":")
	}
	return " E.g. --data-ciphers " + shown + ":BF-CBC"
}

func notSupported(option, cipher string) *Error {
	err := fatalf("Cipher %s not supported", cipher)
	err.About = option
	return err
}

func isDigest(name string) bool {
	_, err := keys.ParseDigest(name)
	return err == nil || name == "" || strings.EqualFold(name, "none")
}

// cipherList checks the names of data-ciphers. Left out are unknown ones with a question mark, and those that stock has and we do not
// as long as others remain; anything else unknown is fatal.
func (p *parser) cipherList(names []string) ([]string, error) {
	var list, bad, foreign []string
	for _, name := range names {
		if strings.EqualFold(name, "DEFAULT") {
			list = append(list, defaultCiphers...)
			continue
		}
		name, optional := strings.CutPrefix(name, "?")
		c, ok := canonicalCipher(name, p.o.LegacyCiphers)
		switch {
		case name == "": // between two colons, as at their end
		case ok:
			list = append(list, c)
			if c == "none" {
				p.warn("WARNING: cipher 'none' specified for --data-ciphers. This allows negotiation of NO encryption and tunnelled data WILL then be " +
					"transmitted in clear text over the network! PLEASE DO RECONSIDER THIS SETTING!")
			}
		case optional:
			p.note(logging.Info, "Unsupported optional cipher in --data-ciphers: %s", name)
		case foreignCipher.MatchString(name):
			p.warn("WARNING: --data-ciphers: %s is left out, the library does not have it", name)
			foreign = append(foreign, name)
		default:
			p.warn("Unsupported cipher in --data-ciphers: %s", name)
			bad = append(bad, name)
		}
	}
	if len(list) == 0 {
		bad = append(bad, foreign...)
	}
	n := len(strings.Join(list, ":"))
	if len(bad) == 0 && n <= maxCipherList && len(list) > 0 {
		return list, nil
	}
	err := errorf("--data-ciphers list contains unsupported ciphers or is too long.")
	switch {
	case len(bad) > 0:
		err.Word, err.More = bad[0], bad[1:]
	case n > maxCipherList:
		err.Word, err.Advice = strings.Join(names, ":"), fmt.Sprintf("it has %d characters, and %d fit", n, maxCipherList)
	default:
		err.Word, err.Advice = strings.Join(names, ":"), "no cipher of it is here; --show-ciphers lists what there is"
	}
	return nil, err
}
