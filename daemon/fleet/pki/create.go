package pki

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// Plan describes a new node.
type Plan struct {
	// Name is unique in the fleet.
	Name string
	// Address is HOST or HOST:PORT at which other nodes reach this one.
	Address string
	// Listen is the address to listen at, "" for all.
	Listen string
	// Engine is a NATS cluster in the place of our own, nil for our own.
	Engine *Engine
}

// Init makes the folder of a fleet's first node, with the fleet's authority and keys.
func Init(dir string, p Plan, now time.Time) (*Node, error) {
	if err := CheckName(p.Name); err != nil {
		return nil, err
	}
	address, err := WithPort(p.Address)
	if err != nil {
		return nil, err
	}
	n := &Node{
		Dir: dir, Layout: layout, Fleet: strings.ToLower(rand.Text()[:16]), ID: newID(),
		Name: p.Name, Address: address, Listen: p.Listen, Engine: p.Engine,
	}
	if err := n.checkListen(); err != nil {
		return nil, err
	}
	at, err := reserve(dir)
	if err != nil {
		return nil, err
	}
	defer at.giveUp()
	authority, err := newAuthority(n.Fleet, now)
	if err != nil {
		return nil, err
	}
	m := &material{CA: pemOf("CERTIFICATE", authority.cert.Raw)}
	if m.CAKey, err = keyPEM(authority.key); err != nil {
		return nil, err
	}
	if m.Token, err = keys.Generate(rand.Reader, now, keys.KindToken, nil, nil); err != nil {
		return nil, err
	}
	if m.Wrap, err = keys.Generate(rand.Reader, now, keys.KindV2Server, nil, nil); err != nil {
		return nil, err
	}
	key, csr, err := request(n.Name)
	if err != nil {
		return nil, err
	}
	if m.Cert, err = authority.Issue(n.Name, csr, now); err != nil {
		return nil, err
	}
	return n, n.write(at, m, key, nil)
}

func newID() string { return strings.ToLower(rand.Text()[:8]) }

func (n *Node) checkListen() error {
	if n.Listen != "" && net.ParseIP(n.Listen) == nil {
		return fmt.Errorf("listen address %q is no IP address", n.Listen)
	}
	return nil
}

// material goes from the node that admits to the node that joins, in PEM.
type material struct {
	CA    []byte `json:"ca"`
	CAKey []byte `json:"ca_key"`
	Cert  []byte `json:"cert"`
	Token []byte `json:"auth_token_key"`
	Wrap  []byte `json:"tls_crypt_v2_key"`
}

// write makes the node's folder.
func (n *Node) write(at *place, m *material, key, roster []byte) error {
	about, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	files := map[string][]byte{
		fileNode: append(about, '\n'), fileCA: m.CA, fileCAKey: m.CAKey, fileCert: m.Cert, fileKey: key, fileToken: m.Token, fileWrap: m.Wrap,
	}
	if roster != nil {
		files[fileRoster] = roster
	}
	return at.fill(files)
}
