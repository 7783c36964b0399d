package daemon

import "testing"

func TestSerialNumber(t *testing.T) {
	for text, want := range map[string]string{
		"31": "31", "0x1F": "31", "0X1f": "31", "1F:00": "7936", "00:1f": "31", "0": "0", "1f": "", "": "", "0x": "", "-1": "", ":": "", "1:-2": "",
		"0x" + "ffffffffffffffffffffffffffffffffffffffff": "1461501637330902918203684832716283019655932542975", "0x1" + "ffffffffffffffffffffffffffffffffffffffff": "",
	} {
		got, err := serialNumber(text)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}
