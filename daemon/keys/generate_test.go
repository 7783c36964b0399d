package keys

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"
)

// Every kind makes a file that its parser reads, and no two are the same.
func TestGenerate(t *testing.T) {
	server, err := GenerateWrapKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	static := func(b []byte) error { _, err := ParseStaticKey(b); return err }
	for _, tt := range []struct {
		kind  string
		parse func([]byte) error
	}{
		{"", static}, {KindSecret, static}, {KindTLSAuth, static}, {KindTLSCrypt, static},
		{KindV2Server, func(b []byte) error { _, err := ParseWrapKey(b); return err }},
		{KindToken, func(b []byte) error { _, err := ParseTokenKey(b); return err }},
		{KindV2Client, func(b []byte) error { _, err := ParseClientKey(b); return err }},
	} {
		a, err := Generate(rand.Reader, time.Now(), tt.kind, server, nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.kind, err)
		}
		b, err := Generate(rand.Reader, time.Now(), tt.kind, server, nil)
		if err != nil || bytes.Equal(a, b) || tt.parse(a) != nil || tt.parse(b) != nil {
			t.Errorf("%s: %v, %v, equal %v", tt.kind, err, tt.parse(a), bytes.Equal(a, b))
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	server, err := GenerateWrapKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Generate(rand.Reader, time.Now(), KindV2Client, nil, nil); !errors.Is(err, ErrServerKey) {
		t.Errorf("without a server key: %v", err)
	}
	if _, err := Generate(rand.Reader, time.Now(), KindV2Client, server, make([]byte, MaxMetadata)); !errors.Is(err, ErrMetadata) {
		t.Errorf("much metadata: %v", err)
	}
	if _, err := Generate(rand.Reader, time.Now(), "rsa", nil, nil); err == nil {
		t.Error("an unknown kind is no error")
	}
	if _, err := Generate(bytes.NewReader(nil), time.Now(), KindToken, nil, nil); err == nil {
		t.Error("an empty source is no error")
	}
}

// What a server finds in a client key: the metadata given, or else the time.
func TestGeneratedClientKey(t *testing.T) {
	server, err := GenerateWrapKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1800000000, 0)
	user, err := UserMetadata([]byte("laptop"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ metadata, want []byte }{{nil, TimeMetadata(now)}, {[]byte("laptop"), user}} {
		text, err := Generate(rand.Reader, now, KindV2Client, server, tt.metadata)
		if err != nil {
			t.Fatal(err)
		}
		client, err := ParseClientKey(text)
		if err != nil {
			t.Fatal(err)
		}
		kc, metadata, err := server.Unwrap(client.WKc)
		if err != nil || *kc != client.Key || !bytes.Equal(metadata, tt.want) {
			t.Errorf("metadata %q: %q, %v", tt.metadata, metadata, err)
		}
	}
}
