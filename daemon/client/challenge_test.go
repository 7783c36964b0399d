package client

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDynamicChallenge(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want *challenge
	}{
		{"CRV1:R,E:Om01u7Fh4LrGBS7uh0SWmzwabUiGiW6l:Y3Ix:Please enter: PIN", &challenge{state: "Om01u7Fh4LrGBS7uh0SWmzwabUiGiW6l", user: "cr1", text: "Please enter: PIN", echo: true, need: true}},
		{"CRV1::s:Y3Ix:text", &challenge{state: "s", user: "cr1", text: "text"}},
		{"CRV1:R:s:not base64:text", nil},
		{"CRV1:R:s", nil},
		{"wrong password", nil},
	} {
		if diff := cmp.Diff(tt.want, dynamicChallenge(tt.in), cmp.AllowUnexported(challenge{})); diff != "" {
			t.Errorf("dynamicChallenge(%q) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestAnswersToChallenges(t *testing.T) {
	if got, want := (&challenge{state: "id"}).answer("8675309"), "CRV1::id::8675309"; got != want {
		t.Errorf("dynamic answer %q, want %q", got, want)
	}
	if got, want := staticAnswer("bar", "8675309"), "SCRV1:YmFy:ODY3NTMwOQ=="; got != want {
		t.Errorf("static answer %q, want %q", got, want)
	}
}

func TestSecretsDefaults(t *testing.T) {
	var s Secrets
	if got := s.Retry(); got != "none" {
		t.Errorf("auth-retry is %q by default", got)
	}
	if got := s.LogValue().String(); got != "[secrets]" {
		t.Errorf("logged as %q", got)
	}
}
