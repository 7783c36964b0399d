package server

import (
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
)

// filters is the number of levels that differ: 0 to 3, and negative ones.
const filters = 5

const (
	levelNothing  = 3 // and more: no variables
	levelNegative = 4 // the variables of level 1 without the peer info
)

// filterLevel maps what env-filter was given.
func filterLevel(n int) int {
	if n < 0 {
		return levelNegative
	}
	return min(n, levelNothing)
}

// filtered are the variables that levels 1 and 2 let through, besides tls_serial_*, and X509_* on level 1.
var filtered = map[string]bool{
	"username": true, "password": true, "X509_0_CN": true, "untrusted_ip": true, "ifconfig_local": true,
	"ifconfig_netmask": true, "daemon_start_time": true, "daemon_pid": true, "dev": true,
	"ifconfig_pool_remote_ip": true, "ifconfig_pool_netmask": true, "time_duration": true, "bytes_sent": true,
	"bytes_received": true, "session_id": true, "session_state": true,
}

// filterEnv returns the lines of a CLIENT block at a level. From level 1 on peerInfo comes first, whatever the filter.
func filterEnv(env, peerInfo []string, level int, secrets bool) []string {
	if level == 0 && secrets {
		return env
	}
	var out []string
	if level == levelNegative {
		level = 1
	} else if level > 0 {
		out = append(out, peerInfo...)
	}
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if !secrets && mgmt.SecretEnv(e) {
			continue
		}
		if level == 0 || level <= 2 && (filtered[name] || strings.HasPrefix(name, "tls_serial_") ||
			level == 1 && strings.HasPrefix(name, "X509_")) {
			out = append(out, e)
		}
	}
	return out
}
