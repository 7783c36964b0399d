package server

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/config"
)

func TestPushUpdate(t *testing.T) {
	set := &setup{Options: &config.Options{}}
	messagesOf := func(options string) ([]string, error) {
		u, err := set.update(options)
		if err != nil {
			return nil, err
		}
		return u.messages, nil
	}
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
		{"?-route", nil, "'?-route' has no name"},
		{"-?-route", nil, "'-?-route' has no name"},
		{"??route", nil, "'??route' has no name"},
		{"route 10.1.0.0,-", nil, "'-' has no name"},
		{"-?", nil, "'-?' has no name"},
		{"cipher NONE,no-such-option 1,-?nor-this", []string{"PUSH_UPDATE,cipher NONE,no-such-option 1,-?nor-this"}, ""},
		{"ifconfig 10.8.0.9 255.255.255.0", []string{"PUSH_UPDATE,ifconfig 10.8.0.9 255.255.255.0"}, ""},
		{"?ifconfig-ipv6 fd00:8::9/64 fd00:8::1", []string{"PUSH_UPDATE,?ifconfig-ipv6 fd00:8::9/64 fd00:8::1"}, ""},
		{"-ifconfig,-?ifconfig-ipv6", []string{"PUSH_UPDATE,-ifconfig,-?ifconfig-ipv6"}, ""},
		{"ifconfig", nil, "'ifconfig ' must be an address"},
		{"ifconfig 10.8.0.9", nil, "must be an address"},
		{"ifconfig here there", nil, "must be an address"},
		{"ifconfig-ipv6 10.8.0.9/24 10.8.0.1", nil, "must be an address"},
		{"route " + strings.Repeat("1", 300), nil, "too long"},
	} {
		got, err := messagesOf(tt.in)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %v\n%s", tt.in, err, diff)
		}
	}
	got, err := messagesOf(long)
	if err != nil || len(got) != 2 || !strings.HasSuffix(got[0], ",push-continuation 2") || !strings.HasSuffix(got[1], ",push-continuation 1") {
		t.Errorf("long list: %d messages, %v", len(got), err)
	}
}
