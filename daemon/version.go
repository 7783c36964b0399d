package daemon

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/tokens"
)

// Version is the release of moongate, set by the linker.
var Version = "devel"

// Title is the product string of the banner, the version command and server status. Tools read its second word as a
// version, and brackets as features.
func Title(face config.Compat) string {
	cards := ""
	if tokens.Supported {
		cards = "[PKCS11] "
	}
	return fmt.Sprintf("OpenVPN %s %s [SSL (Go)] [LZO] [LZ4] %s[MH/PKTINFO] [AEAD] moongate %s", face.Release(), target(), cards, Version)
}

func target() string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	return arch + "-pc-" + runtime.GOOS + "-gnu"
}

func libraries() string {
	return "library versions: " + runtime.Version() + " crypto/tls, LZO decompressor"
}

// versionText is the output of --version.
func versionText() string {
	var b strings.Builder
	cards := "no"
	if tokens.Supported {
		cards = "yes"
	}
	fmt.Fprintln(&b, Title(config.Compat26))
	fmt.Fprintln(&b, libraries())
	fmt.Fprintln(&b, "DCO version: N/A")
	fmt.Fprintln(&b, "moongate "+Version+", a virtual private network daemon with a programmable management port")
	fmt.Fprintln(&b, "Copyright (C) 2026 the moongate authors, MIT licence")
	fmt.Fprintln(&b, "Compile time defines: enable_async_push=no enable_comp_stub=no enable_crypto_ofb_cfb=yes enable_dco=no enable_debug=yes enable_fragment=yes enable_iproute2=no enable_lz4=yes enable_lzo=yes enable_management=yes enable_pkcs11="+cards+" enable_plugins=no enable_port_share=yes enable_selinux=no enable_small=no enable_systemd=yes with_crypto_library=go")
	if info, ok := debug.ReadBuildInfo(); ok {
		fmt.Fprintln(&b, "Built with "+info.GoVersion)
	}
	return b.String()
}

// usageText is the output of --help and of a bare call.
func usageText(program string) string {
	return Title(config.Compat26) + `

Usage: ` + program + ` FILE
       ` + program + ` --option [parameter ...] [--option ...]

Options are those of OpenVPN 2.6, on the command line with two dashes, in a file
one a line without. FILE alone is short for --config FILE.

Client:    --client --remote HOST [PORT [PROTO]] --dev tun --ca FILE --cert FILE --key FILE
           --remote-cert-tls server --auth-user-pass [FILE] --tls-crypt FILE
Server:    --server NETWORK MASK --dev tun --ca FILE --cert FILE --key FILE --dh none
           --keepalive 10 60 --push "OPTION"
Control:   --management HOST PORT [PWFILE] --management-hold --management-query-passwords
           --daemon [NAME] --log FILE --status FILE [SECONDS] --verb N --writepid FILE
Tools:     --genkey TYPE [FILE] --show-ciphers --show-digests --show-tls --show-curves
           --show-gateway --mktun --rmtun --version --help
`
}
