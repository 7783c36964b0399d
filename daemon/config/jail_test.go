package config

import "testing"

func TestJail(t *testing.T) {
	j := newJail("/srv/jail")
	for _, tt := range []struct{ in, outside string }{
		{"crl.pem", "/srv/jail/crl.pem"}, {"/crl.pem", "/srv/jail/crl.pem"}, {"../crl.pem", "/srv/crl.pem"}, {"", ""},
	} {
		if got := j.Path(tt.in); got != tt.outside {
			t.Errorf("outside, %q leads to %q, want %q", tt.in, got, tt.outside)
		}
	}
	j.Enter()
	if got := j.Path("/crl.pem"); got != "/crl.pem" {
		t.Errorf("inside, /crl.pem leads to %q", got)
	}
	var none *Jail
	none.Enter()
	if got := none.Path("crl.pem"); got != "crl.pem" || newJail("") != nil {
		t.Errorf("without a jail, crl.pem leads to %q", got)
	}
}
