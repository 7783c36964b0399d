package server

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPushUpdate(t *testing.T) {
	long := strings.Repeat("route 10.55.0.0 255.255.0.0,", 50)
	for _, tt := range []struct {
		in   string
		want []string
		err  string
	}{
		{"route 10.55.0.0 255.255.0.0,-?dns", []string{"PUSH_UPDATE,route 10.55.0.0 255.255.0.0,-?dns"}, ""},
		{"-route", []string{"PUSH_UPDATE,-route"}, ""},
		{" ?tun-mtu 1400 ,", []string{"PUSH_UPDATE,?tun-mtu 1400"}, ""},
		{"", nil, "no options"},
		{"-route 10.0.0.0", nil, "takes no value"},
		{"?-route", nil, "option '-route' cannot be updated"},
		{"ifconfig 10.8.0.9 255.255.255.0", nil, "option 'ifconfig' cannot be updated"},
		{"cipher NONE", nil, "option 'cipher' cannot be updated"},
		{"route " + strings.Repeat("1", 300), nil, "too long"},
	} {
		got, err := pushUpdate(tt.in)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %v\n%s", tt.in, err, diff)
		}
	}
	got, err := pushUpdate(long)
	if err != nil || len(got) != 2 || !strings.HasSuffix(got[0], ",push-continuation 2") || !strings.HasSuffix(got[1], ",push-continuation 1") {
		t.Errorf("long list: %d messages, %v", len(got), err)
	}
}
