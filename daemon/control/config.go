package control

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Defaults of the options with the same names, in effect for zero fields of [Config].
const (
	DefaultTLSTimeout = 2 * time.Second
	DefaultHandWindow = 60 * time.Second
	DefaultTranWindow = time.Hour
	// DefaultPacketSize is max-packet-size 1250 less the headers of IPv4 and UDP.
	DefaultPacketSize = 1222
)

// Limits of what TLS carries. Peers read one record into a buffer of 2048 bytes and take it for one message.
const (
	MaxText = keys.MaxMessage - 1 // the longest text, in bytes without its NUL

	// maxWaiting is how many bytes may wait for a peer that does not acknowledge: more than any list of options.
	maxWaiting = 256 << 10

	maxReceive = 16 << 10 // the longest a message may grow over several records before the key fails
)

// minPayload keeps TLS moving however small PacketSize is.
const minPayload = 64

// Config makes a session, which keeps all of it.
type Config struct {
	// Role is our role in TLS, which also decides about halves of keys and who resets first.
	Role keys.Role
	// TLS is ready for use. Record sizing and tickets are set by the session, on a copy.
	TLS *tls.Config
	// Renew returns the TLS configuration of a soft reset; nil: TLS again.
	Renew func() *tls.Config
	// Wrap protects packets of key id 0, and of later ones unless EnableDynamicTLSCrypt was called.
	Wrap ctrlwrap.Wrapper
	// StaticKey is XORed into the dynamic tls-crypt key; nil when Wrap is plain.
	StaticKey *keys.StaticKey
	// ResetOp is the client's first opcode: OpControlHardResetClientV2 (also for zero) or V3.
	ResetOp wire.Opcode

	// Announce has a server send its reset before the client's first packet: a client whose session is over, because the server was
	// started again, begins a new one.
	Announce bool

	// LocalOptions and PeerInfo go into our key message: the options string and the IV_ lines.
	LocalOptions, PeerInfo string

	// PacketSize is the largest control packet we make, in bytes of UDP payload or TCP frame.
	PacketSize int

	TLSTimeout, HandWindow, TranWindow time.Duration
	// RenegAfter is the age at which we renew a key on our own account; 0: never.
	RenegAfter time.Duration

	// Rand is the source of session ids and key material; nil: crypto/rand.
	Rand io.Reader
	// Wake is called when TLS has got somewhere and Step is worth calling. It comes from another
	// goroutine, possibly while a method of the session runs, and must not block. May be nil.
	Wake func()
}

// withDefaults fills in zero fields and checks the others.
func (c Config) withDefaults() (Config, error) {
	if c.TLS == nil || c.Wrap == nil {
		return c, errors.New("control: Config needs TLS and Wrap")
	}
	if c.ResetOp == 0 {
		c.ResetOp = wire.OpControlHardResetClientV2
	}
	if c.Role == keys.Client && c.ResetOp != wire.OpControlHardResetClientV2 && c.ResetOp != wire.OpControlHardResetClientV3 {
		return c, fmt.Errorf("control: %v does not start a session", c.ResetOp)
	}
	setDefault(&c.TLSTimeout, DefaultTLSTimeout)
	setDefault(&c.HandWindow, DefaultHandWindow)
	setDefault(&c.TranWindow, DefaultTranWindow)
	setDefault(&c.PacketSize, DefaultPacketSize)
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// tlsConfig returns the configuration of one handshake, with what the protocol asks for: one record per
// write (peers take a record for a message), and no resumption.
func (c *Config) tlsConfig(keyID uint8) *tls.Config {
	base := c.TLS
	if keyID > 0 && c.Renew != nil {
		base = c.Renew()
	}
	if base.DynamicRecordSizingDisabled && base.SessionTicketsDisabled {
		return base
	}
	t := base.Clone()
	t.DynamicRecordSizingDisabled = true
	t.SessionTicketsDisabled = true
	return t
}
