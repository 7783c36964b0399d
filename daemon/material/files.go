package material

import (
	"sync"

	"github.com/moongate-vpn/moongate/daemon/config"
)

// KeyFiles are the options of o that name keys and certificates, those of all its connection profiles among them: what
// persist-key holds in memory.
func KeyFiles(o *config.Options) []*config.Source {
	list := []*config.Source{&o.DH, &o.CA, &o.Cert, &o.Key, &o.ExtraCerts, &o.PKCS12, &o.AuthTokenSecret, &o.Secret}
	for i := range o.Connections {
		p := &o.Connections[i]
		list = append(list, &p.TLSAuth, &p.TLSCrypt, &p.TLSCryptV2)
	}
	return list
}

// Files holds what key files contained, under persist-key: once the daemon has given up its privileges it may not be
// able to read them again. The zero Files holds nothing. It is safe for concurrent use.
type Files struct {
	mu   sync.Mutex
	text map[string][]byte // by path
}

// Hold reads the key files of o and returns the same options with their content in them. A file that cannot be read has
// the content it last had; one that never could be read is left to the caller, who reports it. Without persist-key Hold
// returns o.
func (f *Files) Hold(o *config.Options) *config.Options {
	if !o.PersistKey {
		return o
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.text == nil {
		f.text = make(map[string][]byte)
	}
	c := o.Clone()
	for _, src := range KeyFiles(c) {
		if src.Path == "" || src.IsInline() {
			continue
		}
		if text, err := src.Load(); err == nil {
			f.text[src.Path] = text
		}
		src.Held = f.text[src.Path]
	}
	return c
}
