package pemtext_test

import (
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/internal/pemtext"
)

// Stock 2.6.14 starts with a certificate or key in each of these forms, in a file or inline; the last two it refuses:
//
//	openvpn --tls-client --dev null --remote 127.0.0.1 9 --nobind --ca ca.crt --cert FORM --key c.key
func TestBlocks(t *testing.T) {
	const begin, end = "-----BEGIN X-----\n", "-----END X-----\n"
	for name, tt := range map[string]struct {
		text string
		want string
	}{
		"plain":                  {begin + "AAEC\nAwQF\n" + end, "X\x00\x01\x02\x03\x04\x05"},
		"CRLF":                   {"-----BEGIN X-----\r\nAAEC\r\nAwQF\r\n-----END X-----\r\n", "X\x00\x01\x02\x03\x04\x05"},
		"mark":                   {"\ufeff" + begin + "AAEC\n" + end, "X\x00\x01\x02"},
		"mark after a line":      {"\n\ufeff" + begin + "AAEC\n" + end, "X\x00\x01\x02"},
		"text before":            {"Größe: 5\n" + begin + "AAEC\n" + end, "X\x00\x01\x02"},
		"text behind":            {begin + "AAEC\n" + end + "Größe", "X\x00\x01\x02"},
		"no-break spaces":        {begin + "AAEC\u00a0\nAwQF\u00a0 \u00a0\n" + end, "X\x00\x01\x02\x03\x04\x05"},
		"no-break space, CRLF":   {"-----BEGIN X-----\u00a0\r\nAAEC\u00a0\r\n-----END X-----\u00a0\r\n", "X\x00\x01\x02"},
		"Latin-1 no-break space": {begin + "AAEC\xa0\n" + end, "X\x00\x01\x02"},
		"two":                    {begin + "AAEC\n" + end + "\ufeff" + begin + "AwQF\n" + end, "X\x00\x01\x02X\x03\x04\x05"},
		"spaces within":          {begin + "AA\u00a0EC\n" + end, ""},
		"no end":                 {begin + "AAEC\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for b := range pemtext.Blocks([]byte(tt.text)) {
				got.WriteString(b.Type + string(b.Bytes))
			}
			if got.String() != tt.want {
				t.Errorf("got %q, want %q", got.String(), tt.want)
			}
		})
	}
}
