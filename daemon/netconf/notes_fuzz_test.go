package netconf

import (
	"bytes"
	"slices"
	"testing"
)

// Whatever a file holds, reading it gives an error or operations that can be written and read again.
func FuzzNotes(f *testing.F) {
	op := `{"did":{"List":true,"Route":{"Dst":"10.50.0.1/32","Via":"10.99.0.1","Metric":-1}}}` + "\n"
	f.Add([]byte(`{"pid":1,"start":"0"}` + "\n" + op + `{"did":{"Delete":true,"Route":{"Dst":"::/0","Via":"fe80::1","Dev":"eth0","Metric":1024}}}` + "\n" + op[:30]))
	f.Add([]byte(`{"pid":1,"start":"0"}` + "\n" + op + op + `{"un` + op[2:] + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		process, ops, err := parseNotes(text)
		if err != nil {
			return
		}
		if len(ops) > bytes.Count(text, []byte("\n")) {
			t.Fatalf("%d operations from %q", len(ops), text)
		}
		again := line(entry{PID: max(process.PID, 1), Start: "x"})
		for _, op := range ops {
			again = append(again, line(entry{Did: &op})...)
		}
		_, twice, err := parseNotes(again)
		if err != nil || !slices.Equal(ops, twice) {
			t.Fatalf("%v became %v, %v", ops, twice, err)
		}
	})
}
