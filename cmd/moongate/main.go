// Command moongate makes OpenVPN programmable: a daemon, commands, a prompt and Lua scripts in one binary.
package main

import (
	"os"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
)

func main() {
	os.Exit(cli.Main(program(), os.Args))
}
