package pki

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Files of a node's folder.
const (
	fileNode    = "fleet.json"
	fileCA      = "ca.crt"
	fileCAKey   = "ca.key"
	fileCert    = "node.crt"
	fileKey     = "node.key"
	fileToken   = "auth-token.key"
	fileWrap    = "tls-crypt-v2.key"
	fileRoster  = "roster.json"
	dirInvites  = "invites"
	dirEngine   = "engine"
	layout      = 1
	portDefault = 7510
)

// Node is the content of a node's folder.
type Node struct {
	// Dir is the folder.
	Dir string `json:"-"`
	// Layout is the layout's version.
	Layout int `json:"layout"`
	// Fleet is the fleet's id.
	Fleet string `json:"fleet"`
	// Name is the node's, unique in the fleet.
	Name string `json:"name"`
	// ID tells this folder from those that the name had before.
	ID string `json:"id"`
	// Address is HOST:PORT at which the other nodes reach this one's engine. The next port is for the nodes' own talk.
	Address string `json:"address"`
	// Listen is the address to listen at, "" for all.
	Listen string `json:"listen,omitempty"`
	// Engine is a NATS cluster in the place of our own; nil is our own.
	Engine *Engine `json:"engine,omitempty"`

	pair      atomic.Pointer[tls.Certificate] // in use, nil before TLS
	trustEnds atomic.Pointer[time.Time]       // end of the authority in use, nil before TLS
}

// Engine is a NATS cluster outside.
type Engine struct {
	// URL is one or several addresses with commas between.
	URL string `json:"url"`
	// Credentials is a file on each node, "" for none.
	Credentials string `json:"credentials,omitempty"`
	// CA is a file of authorities on each node, "" for the system's.
	CA string `json:"ca,omitempty"`
}

// Load reads a node's folder.
func Load(dir string) (*Node, error) {
	b, err := os.ReadFile(filepath.Join(dir, fileNode))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no folder of a fleet: make one with `moongate fleet init` or `moongate fleet join`: %w", dir, err)
	} else if err != nil {
		return nil, err
	}
	n := &Node{Dir: dir}
	if err := json.Unmarshal(b, n); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, fileNode), err)
	}
	if n.Layout != layout {
		return nil, fmt.Errorf("%s has layout %d, and this moongate knows %d", filepath.Join(dir, fileNode), n.Layout, layout)
	}
	return n, n.check()
}

func (n *Node) check() error {
	if err := CheckName(n.Name); err != nil {
		return err
	}
	_, _, err := splitAddress(n.Address)
	return err
}

// CheckName refuses what cannot be a node's name: 1 to 32 letters, digits, '-' and '_'.
func CheckName(name string) error {
	if name == "" || len(name) > 32 || strings.Trim(name, nameBytes) != "" || name[0] == '-' {
		return fmt.Errorf("node name %q: want 1 to 32 letters, digits, '-' and '_'", name)
	}
	return nil
}

// ServerName is the engine's name of a node: a server that it has been told to forget cannot come back under its name for minutes.
func ServerName(node, id string) string { return node + "_" + id }

// NodeOf is the node of a server's name.
func NodeOf(server string) string {
	if i := strings.LastIndexByte(server, '_'); i > 0 {
		return server[:i]
	}
	return server
}

const nameBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// WithPort completes an address HOST or HOST:PORT by the fleet's default port.
func WithPort(address string) (string, error) {
	if ip := net.ParseIP(strings.Trim(address, "[]")); ip != nil {
		address = net.JoinHostPort(ip.String(), strconv.Itoa(portDefault))
	} else if !strings.Contains(address, ":") {
		address = net.JoinHostPort(address, strconv.Itoa(portDefault))
	}
	_, _, err := splitAddress(address)
	return address, err
}

// splitAddress wants a host that others can reach, and two ports.
func splitAddress(address string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: want HOST or HOST:PORT", address)
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < 1 || port > 65534 {
		return "", 0, fmt.Errorf("address %q: want a port from 1 to 65534; the next one is used as well", address)
	}
	if ip := net.ParseIP(host); host == "" || strings.ContainsAny(host, " /%\t") || ip != nil && (ip.IsUnspecified() || ip.IsMulticast()) {
		return "", 0, fmt.Errorf("address %q: want a host that the other nodes can reach", address)
	}
	return host, port, nil
}

// TalkAddress is where a node with an address talks to the others: the next port.
func TalkAddress(address string) string {
	host, port, err := splitAddress(address)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(port+1))
}

// listen is the local HOST:PORT for one of the node's ports.
func (n *Node) listen(offset int) string {
	_, port, _ := splitAddress(n.Address)
	return net.JoinHostPort(n.Listen, strconv.Itoa(port+offset))
}

// ListenRoutes is where the engine listens for other nodes.
func (n *Node) ListenRoutes() string { return n.listen(0) }

// ListenTalk is where the node listens for the others' talk, and for those that join.
func (n *Node) ListenTalk() string { return n.listen(1) }

// TokenKey is the file with the key of auth-gen-token that all nodes share.
func (n *Node) TokenKey() string { return filepath.Join(n.Dir, fileToken) }

// WrapKey is the file with the server's key of tls-crypt-v2 that all nodes share.
func (n *Node) WrapKey() string { return filepath.Join(n.Dir, fileWrap) }

// EngineDir is the folder of the engine's files.
func (n *Node) EngineDir() string { return filepath.Join(n.Dir, dirEngine) }

// RosterFile is the file with what the node knows of the others.
func (n *Node) RosterFile() string { return filepath.Join(n.Dir, fileRoster) }

// WriteFile replaces a file with mode 0600: after a crash it has its old or its new content.
func WriteFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// place is where a folder will be: its files are written beside it, and moved there together.
type place struct{ dir, tmp string }

// reserve finds out whether a folder can be made. The caller gives the place up in the end.
func reserve(dir string) (*place, error) {
	dir = filepath.Clean(dir)
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s exists and is not empty: give another folder, or remove it if its node has left its fleet", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // folders above ours are the system's
		return nil, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-*") // mode 0700
	return &place{dir: dir, tmp: tmp}, err
}

// giveUp removes what has not been put into place.
func (p *place) giveUp() { os.RemoveAll(p.tmp) }

// fill makes the folder, whole or not at all.
func (p *place) fill(files map[string][]byte) error {
	for name, data := range files {
		if err := WriteFile(filepath.Join(p.tmp, name), data); err != nil {
			return err
		}
	}
	if err := os.Rename(p.tmp, p.dir); err != nil { // replaces an empty folder only
		return fmt.Errorf("put the folder into its place: %w", err)
	}
	return nil
}
