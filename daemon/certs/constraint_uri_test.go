package certs

import "testing"

// A constraint on URIs compares the host alone: not the user, port, path, query or fragment.
func TestURIConstraintSeesTheHost(t *testing.T) {
	for _, tt := range []struct {
		uri, tree string
		in        bool
	}{
		{"https://host.example/a", "host.example", true},
		{"https://host.example:443/a", "host.example", true},
		{"https://user@host.example/", "host.example", true},
		{"https://other.example:x@host.example/", "host.example", true},
		{"https://other.example:x@host.example/", "other.example", false},
		{"https://host.example?a@other.example", "host.example", true},
		{"https://host.example#@other.example", "other.example", false},
		{"https://a.host.example", ".host.example", true},
		{"https://x@a.host.example:1", ".host.example", true},
		{"https://[fd00::1]:443/", "[fd00::1]", true},
	} {
		in, known := GeneralName{Kind: KindURI, Value: []byte(tt.tree)}.covers(GeneralName{Kind: KindURI, Value: []byte(tt.uri)})
		if !known || in != tt.in {
			t.Errorf("%s below %s: %v (known %v), want %v", tt.uri, tt.tree, in, known, tt.in)
		}
	}
}
