package mgmt_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt"
)

func TestStateLines(t *testing.T) {
	at := time.Unix(1795409081, 0)
	tests := []struct {
		name string
		in   mgmt.State
		want string
	}{
		{"nothing but a name", mgmt.State{Time: at, Name: mgmt.StateConnecting}, "1795409081,CONNECTING,,,,,,"},
		{"a reason", mgmt.State{Time: at, Name: mgmt.StateExiting, Detail: mgmt.SIGTERM}, "1795409081,EXITING,SIGTERM,,,,,"},
		{"all fields", mgmt.State{
			Time: at, Name: mgmt.StateConnected, Detail: mgmt.DetailSuccess, TunIPv4: netip.MustParseAddr("10.8.7.2"),
			Remote: netip.MustParseAddrPort("10.99.7.1:17500"), Local: netip.MustParseAddrPort("[fd00::1]:99"), TunIPv6: netip.MustParseAddr("fd00:7::1"),
		}, "1795409081,CONNECTED,SUCCESS,10.8.7.2,10.99.7.1,17500,fd00::1,99,fd00:7::1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			back, err := mgmt.ParseState(tt.want)
			if err != nil || back.String() != tt.want {
				t.Errorf("ParseState: %v, %v", back, err)
			}
		})
	}
	for _, bad := range []string{"", "x,CONNECTED", "1,CONNECTED,,10.0.0.300", "1,CONNECTED,,,10.0.0.1,70000"} {
		if _, err := mgmt.ParseState(bad); err == nil {
			t.Errorf("ParseState(%q) succeeds", bad)
		}
	}
}

func TestEntriesStayOnOneLine(t *testing.T) {
	e := mgmt.LogEntry{Time: time.Unix(5, 0), Flags: "I", Text: "a\r\n>FATAL:b\x00"}
	if got, want := e.String(), "5,I,a  >FATAL:b "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if back, err := mgmt.ParseLog("5,I,a,b"); err != nil || back.Text != "a,b" {
		t.Errorf("ParseLog: %+v, %v", back, err)
	}
	if back, err := mgmt.ParseEcho("5,a,b"); err != nil || back.Text != "a,b" {
		t.Errorf("ParseEcho: %+v, %v", back, err)
	}
	if n, err := mgmt.ParseByteCount("5,7"); err != nil || n != (mgmt.ByteCount{In: 5, Out: 7}) {
		t.Errorf("ParseByteCount: %+v, %v", n, err)
	}
}

func TestCommandTable(t *testing.T) {
	all := mgmt.Commands()
	for i := range all {
		c := &all[i]
		if mgmt.Lookup(c.Name) != c || c.Help == "" || c.Role == 0 {
			t.Errorf("row %+v", c)
		}
	}
	if mgmt.Lookup("frobnicate") != nil {
		t.Error("an unknown command is found")
	}
	tests := []struct {
		params []string
		prefix string
		want   []string
	}{
		{nil, "pk", []string{"pk-sig", "pkcs11-id-count", "pkcs11-id-get"}},
		{[]string{"hold"}, "", []string{"on", "off", "release"}},
		{[]string{"hold", "on"}, "", nil},
		{[]string{"log", "on"}, "a", []string{"all"}},
		{[]string{"signal"}, "SIGU", []string{"SIGUSR1", "SIGUSR2"}},
		{[]string{"username"}, "P", []string{"Private Key"}},
		{[]string{"nonsense"}, "", nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, mgmt.Complete(tt.params, tt.prefix)); diff != "" {
			t.Errorf("Complete(%q, %q): %s", tt.params, tt.prefix, diff)
		}
	}
}

func TestRoles(t *testing.T) {
	for _, r := range []mgmt.Role{mgmt.RoleObserve, mgmt.RoleOperate, mgmt.RoleAuth, mgmt.RoleAdmin, mgmt.RoleOperate | mgmt.RoleAuth} {
		back, err := mgmt.ParseRole(r.String())
		if err != nil || back != r {
			t.Errorf("%d is %q is %d, %v", r, r, back, err)
		}
	}
	if mgmt.RoleObserve.CanAnswer() || mgmt.RoleAuth.May(mgmt.RoleOperate) || !mgmt.RoleAdmin.May(mgmt.RoleAuth) {
		t.Error("rights are mixed up")
	}
	if _, err := mgmt.ParseRole("root"); err == nil {
		t.Error("an unknown role is known")
	}
}

func TestKinds(t *testing.T) {
	if !slices.Contains(mgmt.KindNames(), mgmt.KindUpDown) || mgmt.HasBlock(mgmt.KindClient, "ADDRESS,0,x,1") || !mgmt.HasBlock(mgmt.KindClient, "ADDRESSES") {
		t.Error("blocks are mixed up")
	}
}

func TestScriptStatus(t *testing.T) {
	for _, s := range []mgmt.ScriptStatus{
		{Name: "a.lua", State: mgmt.ScriptRunning, Since: time.Unix(1795409407, 0), Handlers: 1, Events: 2, Errors: 3, Dropped: 4, Memory: 5},
		{Name: "a, b,.lua", State: mgmt.ScriptFailed, Since: time.Unix(0, 0), LastError: "a, b,.lua:1: x, y"},
		{Name: "", Since: time.Unix(0, 0)},
	} {
		if got, err := mgmt.ParseScript(s.String()); err != nil || !cmp.Equal(got, s) {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
	for _, line := range []string{"", "running", "running,1,2,3,4,5,6,7,x,", "running,x,0,0,0,0,0,0,,", "running,0,0,0,0,0,0,-1,,", "running,0,0,0,0,0,0,99,,"} {
		if _, err := mgmt.ParseScript(line); err == nil {
			t.Errorf("%q was read", line)
		}
	}
	if got := (mgmt.ScriptStatus{Name: "a\nb", LastError: "x\r\ny"}).String(); strings.ContainsAny(got, "\r\n") {
		t.Errorf("a status of several lines: %q", got)
	}
}
