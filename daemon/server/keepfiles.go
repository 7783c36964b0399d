package server

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/config"
)

// applied is a reload: the options as they were given, and what became of them.
type applied struct {
	options *config.Options
	set     *setup
}

// keptFiles holds what keys and certificates contained, under persist-key: after the daemon gave up its rights a reload
// may not be able to read them again.
type keptFiles struct {
	mu   sync.Mutex
	text map[string][]byte // by path
}

// remember reads the key and certificate files of o and returns options of the same meaning, where files that may not be
// read any more are blocks with what they last held. Without persist-key it does nothing.
func (k *keptFiles) remember(o *config.Options) *config.Options {
	if !o.PersistKey {
		return o
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.text == nil {
		k.text = make(map[string][]byte)
	}
	c := o.Clone()
	prof := &c.Connections[0]
	replaced := false
	for _, src := range []*config.Source{
		&c.Key, &c.Cert, &c.CA, &c.ExtraCerts, &c.PKCS12, &c.AuthTokenSecret, &prof.TLSAuth, &prof.TLSCrypt, &prof.TLSCryptV2,
	} {
		if src.Path == "" {
			continue
		}
		text, err := src.Load()
		if err == nil {
			k.text[src.Path] = text
			continue
		}
		old, known := k.text[src.Path]
		if !known || !errors.Is(err, fs.ErrPermission) {
			continue
		}
		if src == &c.PKCS12 {
			old = []byte(base64.StdEncoding.EncodeToString(old))
		}
		*src, replaced = config.Source{Inline: old}, true
	}
	if !replaced {
		return o
	}
	return c
}
