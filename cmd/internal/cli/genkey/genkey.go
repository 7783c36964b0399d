// Package genkey holds "genkey": key files for daemons, without a daemon.
package genkey

import (
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

var kinds = []string{keys.KindTLSCrypt, keys.KindV2Server, keys.KindV2Client, keys.KindTLSAuth, keys.KindToken, keys.KindSecret}

// NewCmd returns "genkey".
func NewCmd(e *env.Env) *cobra.Command {
	var serverKey, metadata string
	cmd := &cobra.Command{
		Use: "genkey TYPE [FILE]", Short: "Make a key file",
		Long: "Make a key of a TYPE and write it to FILE, which only its owner may read, or to standard output. A FILE that is there stays.\n\n" +
			"  tls-crypt            hides and guards the control channel; the same file for server and clients\n" +
			"  tls-crypt-v2-server  the server's part when each client has a key of its own\n" +
			"  tls-crypt-v2-client  such a client's key; it needs --server-key\n" +
			"  tls-auth             guards the control channel without hiding it\n" +
			"  auth-token           for auth-gen-token-secret\n" +
			"  secret               for peers without certificates",
		Example: "  moongate genkey tls-crypt ta.key\n  moongate genkey tls-crypt-v2-server server.key\n" +
			"  moongate genkey tls-crypt-v2-client --server-key server.key --metadata laptop laptop.key",
		Args: cobra.RangeArgs(1, 2), ValidArgs: kinds,
		RunE: func(_ *cobra.Command, args []string) error {
			kind := args[0]
			switch {
			case !slices.Contains(kinds, kind):
				return env.Usagef("key type %q: want one of %s", kind, strings.Join(kinds, ", "))
			case (kind == keys.KindV2Client) != (serverKey != ""):
				return env.Usagef("--server-key goes with %s, and the other way round", keys.KindV2Client)
			case kind != keys.KindV2Client && metadata != "":
				return env.Usagef("--metadata goes with %s", keys.KindV2Client)
			}
			text, err := generate(kind, serverKey, metadata)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				_, err = e.Out.Write(text)
				return err
			}
			return create(args[1], text)
		},
	}
	cmd.Flags().StringVar(&serverKey, "server-key", "", "`FILE` of the tls-crypt-v2-server key that a client key is for")
	cmd.Flags().StringVar(&metadata, "metadata", "", "`TEXT` in a client key for the server's tls-crypt-v2-verify script (default the time)")
	return cmd
}

func generate(kind, serverKey, metadata string) ([]byte, error) {
	var server *keys.WrapKey
	if serverKey != "" {
		b, err := os.ReadFile(serverKey)
		if err != nil {
			return nil, err
		}
		if server, err = keys.ParseWrapKey(b); err != nil {
			return nil, fmt.Errorf("%s: %w", serverKey, err)
		}
	}
	var meta []byte
	if metadata != "" {
		meta = []byte(metadata)
	}
	return keys.Generate(rand.Reader, time.Now(), kind, server, meta)
}

// create writes a file that was not there.
func create(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
