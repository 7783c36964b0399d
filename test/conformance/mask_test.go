package conformance

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// masks replace what differs from run to run, or between two programs by nature. Each is tried on lines that hold one of its words
// alone: most lines hold none, and an expression is dear under the race detector.
var masks = []struct {
	words []string // none: each line may match
	re    *regexp.Regexp
	to    string
}{
	{nil, regexp.MustCompile(`^(>(?:STATE|LOG|ECHO):|)\d{9,10},`), "$1<time>,"},
	{[]string{"-"}, regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b`), "<date>"},
	{[]string{"<date>"}, regexp.MustCompile(`<date>([,\t])\d{9,10}`), "<date>$1<time>"},
	{[]string{",CONNECTED,"}, regexp.MustCompile(`^((?:>STATE:)?<time>,CONNECTED,[^,]*,[^,]*,[^,]*,\d+,[^,]+,)\d+`), "$1<port>"},
	{[]string{"pid="}, regexp.MustCompile(`\bpid=\d+`), "pid=<pid>"},
	{[]string{"OpenVPN Version: ", "Management Interface for ", "TITLE"}, regexp.MustCompile(`^(OpenVPN Version: |Management Interface for |TITLE[,\t]).+`), "$1<title>"},
	{[]string{"Client connected from "}, regexp.MustCompile(`(Client connected from \[AF_INET6?\][^ ]*:)\d+`), "$1<port>"},
	{[]string{":ENV,"}, regexp.MustCompile(`^(>(?:UPDOWN|CLIENT):ENV,(?:daemon_pid|daemon_start_time|time_unix|time_ascii|time_duration|bytes_sent|bytes_received|session_id)=).*`), "$1<n>"},
	{[]string{">BYTECOUNT"}, regexp.MustCompile(`^(>BYTECOUNT:|>BYTECOUNT_CLI:\d+,)\d+,\d+$`), "$1<n>,<n>"},
	{[]string{"bytesin="}, regexp.MustCompile(`bytesin=\d+,bytesout=\d+`), "bytesin=<n>,bytesout=<n>"},
	{[]string{" bytes,"}, regexp.MustCompile(`^((?:TUN/TAP|TCP/UDP|Auth) (?:read|write) bytes,)\d+`), "$1<n>"},
	{[]string{"Max bcast/mcast"}, regexp.MustCompile(`(Max bcast/mcast queue length[,\t])\d+`), "$1<n>"},
	{[]string{"CLIENT_LIST"}, regexp.MustCompile(`^(CLIENT_LIST(?:[,\t][^,\t]*){4}[,\t])\d+([,\t])\d+`), "$1<n>$2<n>"},
	{[]string{",<date>"}, regexp.MustCompile(`^([^,>]+,(?:(?:udp|tcp)[46](?:-server)?:)?\d+\.\d+\.\d+\.\d+:\d+,)\d+,\d+,<date>`), "$1<n>,<n>,<date>"},
	{[]string{"_SIGN:"}, regexp.MustCompile(`^(>(?:PK|RSA)_SIGN:)[A-Za-z0-9+/=]+`), "$1<data>"},
	{[]string{"Auth-Token:", "password=SESS_ID_AT_"}, regexp.MustCompile(`(Auth-Token:|password=SESS_ID_AT_)\S+`), "$1<token>"},
	{[]string{"["}, regexp.MustCompile(`^\[(\d+)\] .+`), "[$1] <filler>"},
	{[]string{"MANAGEMENT: >"}, regexp.MustCompile(`(MANAGEMENT: >(?:STATE|ECHO):)\d{9,10},`), "$1<time>,"},
	{[]string{"<time>,I,"}, regexp.MustCompile(`^(<time>,I,(?:OpenVPN|library versions:) ).+`), "$1<title>"},
	{[]string{",Socket Buffers: "}, regexp.MustCompile(`(,Socket Buffers: ).+`), "$1<sizes>"},
	{[]string{"TLS: soft reset"}, regexp.MustCompile(`(TLS: soft reset sec=).*`), "$1<n>"},
	{[]string{"No reply from server"}, regexp.MustCompile(`(No reply from server to push requests in )\d+s`), "${1}<n>s"},
	{[]string{" Data Channel: "}, regexp.MustCompile(`( Data Channel: .*, peer-id: )\d+$`), "$1<n>"}, // stock always says 0
	{[]string{", sid="}, regexp.MustCompile(`, sid=[0-9a-f]{8} [0-9a-f]{8}$`), ", sid=<sid>"},
}

// mask prepares a line for comparison.
func mask(line string) string {
	for _, m := range masks {
		if m.words == nil || slices.ContainsFunc(m.words, func(w string) bool { return strings.Contains(line, w) }) {
			line = m.re.ReplaceAllString(line, m.to)
		}
	}
	return line
}

// momentary are lines that come or not by the moment: byte counts by a clock, GET_CONFIG when the server does not push before
// the client asks, the log's word about a port that nobody listens on, or about a request repeated by a clock; or by the
// build: a module for the kernel that only stock has, or what a TLS library says about its failures. They are compared
// where a scenario waits for them.
var momentary = regexp.MustCompile(`^>BYTECOUNT|^(?:>STATE:)?<time>,GET_CONFIG,|^(?:>LOG:)?<time>,N,(?:[\w./:]+ )?(?:read|write) UDPv4 \[ECONNREFUSED\]|` +
	`^(?:>LOG:)?<time>,.?,(?:[\w./:]+ )?(?:PUSH: Received control message: 'PUSH_REQUEST'|OpenSSL: error|Sent fatal SSL alert: |SENT CONTROL \[\w+\]: 'PUSH_REQUEST'|MANAGEMENT: CMD 'quit'|` +
	`DCO version: |Warning buffer of freed TLS session |(?:[\w./:]+ )?Received fatal SSL alert: |.* disables? data channel offload|.* disabling data channel offload|event_wait : Interrupted)`)

// steady drops momentary lines, unless it is the last one, for which was waited.
func steady(lines []string) []string {
	var out []string
	for i, l := range lines {
		if i == len(lines)-1 || !momentary.MatchString(l) {
			out = append(out, l)
		}
	}
	return out
}

// settle sorts runs of lines whose order means nothing, and reduces help to its frame.
func settle(lines []string) []string {
	var out []string
	help := false
	for _, l := range lines {
		switch {
		case l == "Commands:":
			help = true
		case l == "END":
			help = false
		case help && !strings.HasPrefix(l, ">"): // everyone words their own
			continue
		}
		out = append(out, l)
	}
	for _, prefix := range []string{"ROUTING_TABLE", "CLIENT_LIST"} {
		sortRuns(out, func(l string) bool {
			return strings.HasPrefix(l, prefix+",") || strings.HasPrefix(l, prefix+"\t")
		})
	}
	sortRuns(out, tableRow.MatchString)
	return out
}

// tableRow is a row of the version 1 status tables.
var tableRow = regexp.MustCompile(`^[^,>]+,[^,>]+,.*<date>$`)

func sortRuns(lines []string, in func(string) bool) {
	for i := 0; i < len(lines); i++ {
		j := i
		for j < len(lines) && in(lines[j]) {
			j++
		}
		slices.Sort(lines[i:j])
		i = max(i, j-1)
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"1795409019,CONNECTING,,,,,,":                          "<time>,CONNECTING,,,,,,",
		">STATE:1795409081,WAIT,,,,,,":                         ">STATE:<time>,WAIT,,,,,,",
		"SUCCESS: pid=17425":                                   "SUCCESS: pid=<pid>",
		"SUCCESS: nclients=1,bytesin=5,bytesout=77":            "SUCCESS: nclients=1,bytesin=<n>,bytesout=<n>",
		">BYTECOUNT_CLI:3,10,20":                               ">BYTECOUNT_CLI:3,<n>,<n>",
		">CLIENT:ENV,daemon_pid=7":                             ">CLIENT:ENV,daemon_pid=<n>",
		">CLIENT:ENV,username=7":                               ">CLIENT:ENV,username=7",
		"client1,10.99.0.2:4001,2870,2768,2026-11-23 04:47:31": "client1,10.99.0.2:4001,<n>,<n>,<date>",
		"CLIENT_LIST\tc\t10.99.0.2:1\t10.8.0.2\t\t28\t27\t2026-11-23 04:47:31\t1795409251\ta\t0\t0\tAES-256-GCM": "CLIENT_LIST\tc\t10.99.0.2:1\t10.8.0.2\t\t<n>\t<n>\t<date>\t<time>\ta\t0\t0\tAES-256-GCM",
		"0,10.99.0.1,1194,udp,enabled": "0,10.99.0.1,1194,udp,enabled",
	} {
		if got := mask(in); got != want {
			t.Errorf("mask(%q)\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestSteady(t *testing.T) {
	in := []string{">STATE:<time>,AUTH,,,,,,", ">STATE:<time>,GET_CONFIG,,,,,,", ">BYTECOUNT:<n>,<n>", ">STATE:<time>,GET_CONFIG,,,,,,"}
	if d := cmp.Diff([]string{in[0], in[3]}, steady(in)); d != "" {
		t.Error(d)
	}
}

func TestSettle(t *testing.T) {
	in := []string{
		"Commands:", "pid    : process", "       more of it", "END",
		"ROUTING_TABLE,b", "ROUTING_TABLE,a", "END", "y", "x",
	}
	want := []string{"Commands:", "END", "ROUTING_TABLE,a", "ROUTING_TABLE,b", "END", "y", "x"}
	if d := cmp.Diff(want, settle(in)); d != "" {
		t.Error(d)
	}
}
