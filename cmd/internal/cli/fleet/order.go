package fleet

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/daemon/certs"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// whom are the flags that say whom an order is about.
type whom struct{ user, cn, reason string }

func (w *whom) flags(cmd *cobra.Command, reason bool) {
	f := cmd.Flags()
	f.StringVar(&w.user, "user", "", "clients that log in as `NAME`")
	f.StringVar(&w.cn, "cn", "", "clients with the common name `NAME`")
	if reason {
		f.StringVar(&w.reason, "reason", "", reasonHelp)
	}
}

const reasonHelp = "`TEXT` for the fleet's list and the logs"

// words are the arguments of a command of the port.
func (w *whom) words(command string) ([]string, error) {
	switch {
	case w.user != "" && w.cn != "":
		return nil, env.Usagef("give --user or --cn, not both")
	case w.user != "":
		return withReason([]string{command, "user", w.user}, w.reason)
	case w.cn != "":
		return withReason([]string{command, "cn", w.cn}, w.reason)
	}
	return nil, env.Usagef("give --user NAME or --cn NAME")
}

// order gives an order about them.
func (w *whom) order(e *env.Env, command string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		words, err := w.words(command)
		if err != nil {
			return err
		}
		return order(cmd.Context(), e, words...)
	}
}

func withReason(words []string, reason string) ([]string, error) {
	if strings.ContainsAny(reason, "\r\n") {
		return nil, env.Usagef("--reason must be one line")
	}
	if reason != "" {
		words = append(words, reason)
	}
	return words, nil
}

func killCmd(e *env.Env) *cobra.Command {
	var w whom
	cmd := &cobra.Command{
		Use: "kill", Short: "End the sessions of a user or common name on all nodes, also on those out of reach when they are back",
		Long: "End the sessions of a user or common name on all nodes, by way of the fleet's store. Nodes out of reach do it when they are back, within a\n" +
			"day; the answer names them, and the exit code is 3. The clients may log in again at once: moongate fleet ban keeps them out.\n" +
			"(moongate -a fleet kill reaches only the nodes that answer, and takes patterns.)",
		Example: "  moongate fleet kill --user joe", Args: cobra.NoArgs,
		RunE: w.order(e, "fleet-kill"),
	}
	w.flags(cmd, true)
	return cmd
}

func banCmd(e *env.Env) *cobra.Command {
	var w whom
	cmd := &cobra.Command{
		Use: "ban", Short: "Keep a user or common name out of all nodes",
		Long:    "End the sessions of a user or common name on all nodes, and let it in on none. A refused client is told the reason.\n\n" + whereLong,
		Example: "  moongate fleet ban --user joe --reason 'left the company'", Args: cobra.NoArgs,
		RunE: w.order(e, "fleet-ban"),
	}
	w.flags(cmd, true)
	return cmd
}

func unbanCmd(e *env.Env) *cobra.Command {
	var w whom
	cmd := &cobra.Command{
		Use: "unban", Short: "Let a user or common name in again", Long: "Let a user or common name in again that moongate fleet ban keeps out.",
		Example: "  moongate fleet unban --user joe", Args: cobra.NoArgs,
		RunE: w.order(e, "fleet-unban"),
	}
	w.flags(cmd, false)
	banned := func(cn bool) cobra.CompletionFunc {
		return complete(e, cobra.ShellCompDirectiveNoFileComp, func(doc report.FleetConfig) (names []string) {
			for _, b := range doc.Bans {
				if name := map[bool]string{true: b.CommonName, false: b.User}[cn]; name != "" {
					names = append(names, name)
				}
			}
			return names
		})
	}
	_ = cmd.RegisterFlagCompletionFunc("user", banned(false))
	_ = cmd.RegisterFlagCompletionFunc("cn", banned(true))
	return cmd
}

const serialLong = "SERIAL is decimal, 0x and hexadecimal digits, bytes with colons between, or what openssl x509 -serial prints (serial=…)."

func revokeCmd(e *env.Env) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "revoke CERT|SERIAL", Short: "Keep a certificate out of all nodes",
		Long: "End the sessions of a certificate on all nodes, and let it in on none. CERT is a file with the client's certificate, PEM or DER; a\n" +
			"client's whole configuration will do. " + serialLong + "\nA file whose name looks like a number is ./NAME.\n\n" + whereLong,
		Example: "  moongate fleet revoke pki/issued/joe.crt --reason 'lost laptop'\n  moongate fleet revoke 0x1F", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			serial, err := serialOf(args[0])
			if err != nil {
				return err
			}
			words, err := withReason([]string{"fleet-revoke", serial}, reason)
			if err != nil {
				return err
			}
			return order(cmd.Context(), e, words...)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", reasonHelp)
	return cmd
}

func unrevokeCmd(e *env.Env) *cobra.Command {
	return &cobra.Command{
		Use: "unrevoke CERT|SERIAL", Short: "Let a certificate in again",
		Long:    "Let a certificate in again that moongate fleet revoke keeps out. CERT is a file with the certificate. " + serialLong,
		Example: "  moongate fleet unrevoke 0x1F", Args: cobra.ExactArgs(1),
		ValidArgsFunction: complete(e, cobra.ShellCompDirectiveNoFileComp, func(doc report.FleetConfig) (serials []string) {
			for _, r := range doc.Revocations {
				serials = append(serials, r.Serial)
			}
			return serials
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			serial, err := serialOf(args[0])
			if err != nil {
				return err
			}
			return order(cmd.Context(), e, "fleet-unrevoke", serial)
		},
	}
}

var serialForm = regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]+|[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2})+)$`)

// serialOf is the serial number that an argument is, or that of the certificate in the file that it names.
func serialOf(arg string) (string, error) {
	if hex, ok := strings.CutPrefix(arg, "serial="); ok {
		return "0x" + hex, nil
	}
	if serialForm.MatchString(arg) {
		return arg, nil
	}
	b, err := os.ReadFile(arg)
	if err != nil {
		return "", fmt.Errorf("%w; a serial number is decimal, 0x and hexadecimal digits, or bytes with colons between", err)
	}
	serials, err := clientSerials(b)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", arg, err)
	case len(serials) == 0:
		return "", fmt.Errorf("%s holds no certificate of a client", arg)
	case len(serials) > 1:
		return "", fmt.Errorf("%s holds certificates of %d clients, with the serial numbers %s: give one of these", arg, len(serials), strings.Join(serials, ", "))
	}
	return serials[0], nil
}

// clientSerials are the serial numbers of the certificates in a file that are no authority's.
func clientSerials(b []byte) (serials []string, err error) {
	list, bad := tlsconf.ReadCerts(b)
	if len(bad) > 0 {
		return nil, bad[0]
	}
	if !bytes.Contains(b, []byte("-----BEGIN ")) {
		cert, err := certs.Parse(b)
		if err != nil {
			return nil, err
		}
		list = append(list, cert)
	}
	for _, cert := range list {
		if basic, err := certs.BasicConstraints(cert); err == nil && basic.CA {
			continue
		}
		if s := cert.SerialNumber.String(); !slices.Contains(serials, s) {
			serials = append(serials, s)
		}
	}
	return serials, nil
}
