package script

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
)

// Addresses knows which script serves at an address. Versions of one script share it; another script is refused.
type Addresses interface {
	// Take notes that a version of the script serves at an address. shared tells that another version does so too.
	Take(name string) (shared bool, err error)
	Leave(name string)
}

// served are the addresses of the scripts of this process, and of the processes that it started for scripts.
var served = struct {
	sync.Mutex
	by map[string]*server
}{by: make(map[string]*server)}

// server is a script at an address, once or more often.
type server struct {
	script   string
	versions int
}

// AddressesOf are those of one script of this process, by the path of its file.
func AddressesOf(path string) Addresses {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return addressesOf(path)
}

type addressesOf string

// Take implements Addresses.
func (a addressesOf) Take(name string) (shared bool, err error) {
	served.Lock()
	defer served.Unlock()
	s := served.by[name]
	switch {
	case s == nil:
		s = &server{script: string(a)}
		served.by[name] = s
	case s.script != string(a):
		return false, fmt.Errorf("the script %s serves there", s.script)
	}
	s.versions++
	return s.versions > 1, nil
}

// Leave implements Addresses.
func (a addressesOf) Leave(name string) {
	served.Lock()
	defer served.Unlock()
	if s := served.by[name]; s != nil && s.script == string(a) {
		if s.versions--; s.versions == 0 {
			delete(served.by, name)
		}
	}
}

// reserve takes an address to serve at: of the loopback, or a unix socket.
func (r *runtime) reserve(network, text string) (*address, error) {
	name := filepath.Clean(text)
	if network == "tcp" {
		ap, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, err
		}
		if name = ap.String(); ap.Port() == 0 { // the system chooses one that is free
			a, err := reserve(network, text, false)
			if err != nil {
				return nil, err
			}
			if _, err := r.o.Addresses.Take(a.name); err != nil {
				a.leave()
				return nil, err
			}
			return a, nil
		}
	}
	for _, s := range r.servers {
		if s.at.name == name {
			return nil, errors.New("this script serves there already")
		}
	}
	shared, err := r.o.Addresses.Take(name)
	if err != nil {
		return nil, err
	}
	a, err := reserve(network, name, shared)
	if err != nil {
		r.o.Addresses.Leave(name)
	}
	return a, err
}
