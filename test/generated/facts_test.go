//go:build linux

package generated

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// facts are what a run showed, by what they are about: "client routes", "server env ev.sh-connect: ifconfig_pool_remote_ip".
type facts map[string]string

// collect notes all that can be seen of a tunnel that is up.
func collect(t *testing.T, server, client *end) facts {
	t.Helper()
	f := make(facts)
	for who, e := range map[string]*end{"server": server, "client": client} {
		f.network(t, who, e.host)
		f.environment(t, who, e.dir)
	}
	f.status(t, server)
	return f
}

// linkState is what the kernel says about a fresh link: no fact of a tunnel.
var linkState = regexp.MustCompile(` linkdown| (UP|DOWN|UNKNOWN)\b`)

var skipLine = regexp.MustCompile(`^(fe80|ff00|multicast)|fe80::`)

// network notes addresses and routes.
func (f facts) network(t *testing.T, who string, n *daemontest.Namespace) {
	t.Helper()
	for what, args := range map[string][]string{
		"addresses": {"ip", "-o", "-br", "addr", "show", "scope", "global"}, "routes": {"ip", "route"}, "IPv6 routes": {"ip", "-6", "route"},
	} {
		var lines []string
		for line := range strings.Lines(n.Run(t, args...)) {
			line = strings.Join(strings.Fields(line), " ")
			if line != "" && !skipLine.MatchString(line) && !strings.HasPrefix(line, "lo ") {
				lines = append(lines, linkState.ReplaceAllString(line, ""))
			}
		}
		slices.Sort(lines)
		f[who+" "+what] = strings.Join(lines, "\n")
	}
}

// volatile are variables that differ from run to run.
var volatile = regexp.MustCompile(`^(PWD|OLDPWD|SHLVL|_|daemon_pid|daemon_start_time|time_\w+|(un)?trusted_port|bytes_\w+|auth_(control|failed_reason|pending)_file|session_id|client_connect_(config|deferred)_file|metadata_file|peer_cert|password)$`)

// hardware is an address that each pair of hosts has anew.
var hardware = regexp.MustCompile(`\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b`)

// environment notes what scripts saw.
func (f facts) environment(t *testing.T, who, dir string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, "env", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		f[who+" script "+entry.Name()] = "ran"
		for line := range strings.Lines(string(b)) {
			name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if ok && !volatile.MatchString(name) {
				if hardware.FindString(value) == value && value != "" {
					value = "MAC"
				}
				f[who+" env "+entry.Name()+": "+name] = strings.ReplaceAll(value, dir, "@D@")
			}
		}
	}
}

var (
	statusDate = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	statusPort = regexp.MustCompile(`(10\.99\.0\.2):\d+`)
	statusNum  = regexp.MustCompile(`\b\d{3,}\b`)
)

// status notes the server's status file once the client is in it.
func (f facts) status(t *testing.T, server *end) {
	t.Helper()
	var path, text string
	for _, name := range []string{"status-unit.log", "status.log", "jail/status.log", "vtun10.status", "openvpn-status.log"} {
		if _, err := os.Stat(filepath.Join(server.dir, name)); err == nil {
			path = filepath.Join(server.dir, name)
			break
		}
	}
	if path == "" {
		return
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", path, text)
		}
	})
	await(t, upLimit, "client in "+path, func() bool {
		b, err := os.ReadFile(path)
		text = string(b)
		listed := strings.Count(text, "10.99.0.2") > 1 || strings.Contains(text, "OpenVPN STATISTICS") // of a peer
		return err == nil && listed && strings.Contains(text, "END")
	})
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "TITLE") || strings.HasPrefix(line, "TIME") || strings.Contains(line, "bcast/mcast queue") {
			continue
		}
		if name, _, ok := strings.Cut(line, " bytes,"); ok { // of a peer's statistics
			line = name + " bytes,N"
		}
		line = statusPort.ReplaceAllString(statusDate.ReplaceAllString(line, "DATE"), "$1:PORT")
		lines = append(lines, statusNum.ReplaceAllString(hardware.ReplaceAllString(line, "MAC"), "N"))
	}
	slices.Sort(lines)
	f["server status"] = strings.Join(lines, "\n")
}

var (
	// notice matches what a daemon says about a configuration or what it was pushed.
	notice = regexp.MustCompile(`WARNING|DEPRECATED|REMOVED|NOTE|Note:|NOTICE|Options error|OPTIONS ERROR|[Ii]gnor|[Uu]nsupported|not supported|PUSH_REPLY|OPTIONS IMPORT|Use --help`)
	// untold are lines that pairings need not agree about: what the kernel could carry, what the other end tells as well, and chance;
	// varies is what differs within others: names by chance, and epoch keys, which 2.6 lacks.
	untold = regexp.MustCompile(`data channel offload|SENT CONTROL|--mute triggered`)
	varies = regexp.MustCompile(`/\S*/openvpn_\w+\.tmp| aead-epoch`)
	// stamp matches a date, or the time and the flags of machine-readable-output.
	stamp = regexp.MustCompile(`^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d |\d{10}\.\d{6} [0-9a-f]+ )(us=\d+ )?`)
	// towards is whom a server's line is about.
	towards = regexp.MustCompile(`^(\S+/)?(\[[^]]*\])?[0-9a-f.:]+:\d+ `)
)

// withNotices is set for the soak: what daemons log takes more time to compare than the quick part has.
var withNotices = false

// notices notes the warnings of a daemon's log and the options it was pushed, each once: how often they come is chance.
func (f facts) notices(t *testing.T, who, log, dir string) {
	t.Helper()
	if !withNotices {
		return
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range logs { // stock warns before it opens its log file, ours into it
		log += "\n" + readFile(t, path)
	}
	for line := range strings.Lines(log) {
		line = towards.ReplaceAllString(stamp.ReplaceAllString(strings.TrimRight(line, " \n"), ""), "")
		if notice.MatchString(line) && !untold.MatchString(line) {
			line = varies.ReplaceAllString(strings.ReplaceAll(line, dir, "@D@"), "")
			f[who+" says "+line] = "yes"
		}
	}
}
