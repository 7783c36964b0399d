package daemon

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// runTool does what the command line asks for instead of a tunnel and returns the exit status.
func runTool(_ context.Context, o *config.Options, env Env) int {
	var err error
	switch o.Tool.Name {
	case "version":
		fmt.Fprint(env.Stdout, versionText())
	case "help":
		fmt.Fprint(env.Stdout, usageText(env.Program))
		return exitError
	case "show-ciphers":
		showCiphers(env.Stdout, o.LegacyCiphers)
	case "show-digests":
		showDigests(env.Stdout)
	case "show-tls":
		showTLS(env.Stdout)
	case "show-curves", "show-groups":
		fmt.Fprint(env.Stdout, "The groups that --tls-groups can name, the first offered first.\n\nAvailable Elliptic curves/groups:\n")
		for _, name := range []string{"X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "X25519", "prime256v1", "secp384r1", "secp521r1"} {
			fmt.Fprintln(env.Stdout, name)
		}
	case "show-engines":
		fmt.Fprintln(env.Stdout, "Sorry, there are no crypto engines: the cryptography is built in")
	case "show-gateway":
		err = showGateway(o, env.Stdout)
	case "show-pkcs11-ids":
		err = showTokens(o, env.Stdout)
	case "genkey":
		err = genKey(o, env.Stdout)
	case "mktun", "rmtun":
		err = persistTun(o, env.Stdout)
	case "test-crypto":
		err = testCrypto(o, env.Stdout)
	default:
		err = fmt.Errorf("--%s is not available", o.Tool.Name)
	}
	if err != nil {
		stamp(env.Stdout, err.Error())
		stamp(env.Stdout, exiting)
		return exitError
	}
	return exitOK
}

// stamp prints a line the way the log would.
func stamp(w io.Writer, text string) {
	fmt.Fprintln(w, time.Now().Format("2006-01-02 15:04:05"), text)
}

func showCiphers(w io.Writer, legacy bool) {
	fmt.Fprint(w, "The following ciphers of the data channel can stand in --data-ciphers and --cipher.\n\n")
	var strong, weak []string
	for _, s := range data.Ciphers() {
		if s.Mode == data.Plain || s.Legacy && !legacy {
			continue
		}
		block := max(s.BlockSize, 1) * 8
		if s.Mode == data.AEAD && strings.Contains(s.Name, "CHACHA") {
			block = 8
		}
		line := fmt.Sprintf("%s  (%d bit key, %d bit block", s.Name, s.KeyBits(), block)
		if s.Mode == data.AEAD {
			line += ", TLS client/server mode only"
		} else if s.Mode != data.CBC {
			line += ", TLS client/server mode only"
		}
		line += ")"
		if s.ShortBlocks() {
			weak = append(weak, line)
		} else {
			strong = append(strong, line)
		}
	}
	slices.Sort(strong)
	slices.Sort(weak)
	for _, l := range strong {
		fmt.Fprintln(w, l)
	}
	if len(weak) > 0 {
		fmt.Fprint(w, "\nThe following have blocks of less than 128 bits, for old peers only.\n\n")
	}
	for _, l := range weak {
		fmt.Fprintln(w, l)
	}
	fmt.Fprintln(w)
}

func showDigests(w io.Writer) {
	fmt.Fprint(w, "The following digests authenticate packets and can stand in --auth.\n\n")
	for _, d := range keys.Digests() {
		fmt.Fprintf(w, "%s %d bit digest size\n", d.Name, d.Size*8)
	}
	fmt.Fprintln(w)
}

func showTLS(w io.Writer) {
	fmt.Fprint(w, "Available TLS Ciphers of the library:\n\nFor TLS 1.3 and newer (--tls-ciphersuites):\n\n")
	new13, old := tlsconf.Suites()
	for _, name := range new13 {
		fmt.Fprintln(w, name)
	}
	fmt.Fprint(w, "\nFor TLS 1.2 and older (--tls-cipher):\n\n")
	for _, name := range old {
		fmt.Fprintln(w, name)
	}
	fmt.Fprintln(w)
}

func showGateway(o *config.Options, w io.Writer) error {
	n, err := netconf.New(func(_ logging.Level, format string, args ...any) { stamp(w, fmt.Sprintf(format, args...)) })
	if err != nil {
		return err
	}
	towards := netip.IPv4Unspecified()
	if len(o.Tool.Args) > 0 {
		if towards, err = netip.ParseAddr(o.Tool.Args[0]); err != nil {
			return err
		}
	}
	_, _ = n.DefaultGateway(towards) // both outcomes are logged
	return nil
}

// genKey makes a key file: kind, file (standard output without one) and metadata are its arguments.
func genKey(o *config.Options, w io.Writer) error {
	arg := func(i int) string {
		if i < len(o.Tool.Args) {
			return o.Tool.Args[i]
		}
		return ""
	}
	var server *keys.WrapKey
	if arg(0) == keys.KindV2Client && len(o.Connections) > 0 && o.Connections[0].TLSCryptV2.Set() {
		b, err := o.Connections[0].TLSCryptV2.Load()
		if err != nil {
			return err
		}
		if server, err = keys.ParseWrapKey(b); err != nil {
			return err
		}
	}
	var metadata []byte
	if arg(2) != "" {
		var err error
		if metadata, err = base64.StdEncoding.DecodeString(arg(2)); err != nil {
			return fmt.Errorf("ERROR: failed to base64 decode provided metadata") //nolint:staticcheck // the line scripts know
		}
	}
	text, err := keys.Generate(rand.Reader, time.Now(), arg(0), server, metadata)
	switch {
	case errors.Is(err, keys.ErrServerKey):
		return fmt.Errorf("--genkey tls-crypt-v2-client requires a server key to be set via --tls-crypt-v2 to create a client key")
	case errors.Is(err, keys.ErrMetadata):
		return fmt.Errorf("ERROR: metadata too long (%d bytes, max 733 bytes)", len(metadata)) //nolint:staticcheck // the line scripts know
	case err != nil:
		return err
	case arg(1) == "":
		_, err = w.Write(text)
		return err
	}
	return os.WriteFile(arg(1), text, 0o600)
}

// persistTun makes or removes a device that outlives its process.
func persistTun(o *config.Options, w io.Writer) error {
	cfg := tun.Config{Name: o.Dev, Node: o.DevNode, Persist: true}
	if o.DevType == config.DevTap {
		cfg.Type = tun.TAP
	}
	if o.Tool.Name == "rmtun" {
		name, err := tun.RemovePersistent(cfg)
		if err != nil {
			return err
		}
		stamp(w, "TUN/TAP device "+name+" opened")
		stamp(w, "Persist state set to: OFF")
		return nil
	}
	var who privileges
	if err := who.lookup(o.User, o.Group, ""); err != nil {
		return err
	}
	name, err := tun.CreatePersistent(cfg, who.uid, who.gid)
	if err != nil {
		return err
	}
	stamp(w, "TUN/TAP device "+name+" opened")
	stamp(w, "Persist state set to: ON")
	return nil
}

// testCrypto seals and opens packets of all sizes with the cipher of the options.
func testCrypto(o *config.Options, w io.Writer) error {
	cipher := o.Cipher
	if cipher == "" {
		cipher = "BF-CBC"
	}
	if suite, ok := data.Lookup(cipher); !ok || suite.Legacy && !o.CipherDefined && !o.LegacyCiphers {
		return fmt.Errorf("Cipher %s not supported", cipher) //nolint:staticcheck // the line scripts know
	}
	secret, err := material.StaticKey("secret", o.Secret)
	if err != nil {
		return err
	}
	block := keys.Block(secret[:])
	end := func(role keys.Role) (*data.Channel, error) {
		c, err := data.New(data.Params{Role: role, Cipher: cipher, Auth: o.Auth, V2: true, ReplayWindow: 64, ReplayTime: time.Minute})
		if err != nil {
			return nil, err
		}
		b := block
		return c, c.SetKey(0, &b, time.Time{})
	}
	a, err := end(keys.Client)
	if err != nil {
		return err
	}
	b, err := end(keys.Server)
	if err != nil {
		return err
	}
	stamp(w, "Entering crypto self-test mode.")
	payload := make([]byte, 1500)
	_, _ = rand.Read(payload)
	for n := 1; n <= len(payload); n++ {
		now := time.Now()
		sealed, err := a.Seal(nil, slices.Clone(payload[:n]), now)
		if err != nil {
			return fmt.Errorf("seal %d bytes: %w", n, err)
		}
		got, _, err := b.Open(sealed, now)
		if err != nil || !slices.Equal(got, payload[:n]) {
			return fmt.Errorf("open %d bytes: %w", n, err)
		}
	}
	stamp(w, "OpenVPN crypto self-test mode SUCCEEDED.")
	return nil
}
