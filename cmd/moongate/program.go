package main

import "github.com/moongate-vpn/moongate/cmd/internal/cli"

// version is set by the linker.
var version = "devel"

// program is what this build consists of.
func program() cli.Program { return cli.Program{Version: version} }
