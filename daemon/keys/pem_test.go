package keys

import (
	"bytes"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type v2Vector struct {
	ServerKey    hexBytes `json:"server_key"`
	ServerPEM    string   `json:"server_key_pem"`
	Kc           hexBytes `json:"client_key_Kc"`
	MetaTime     hexBytes `json:"metadata_timestamp"`
	WKcTime      hexBytes `json:"wkc_timestamp"`
	MetaUser     hexBytes `json:"metadata_user"`
	WKcUser      hexBytes `json:"wkc_user"`
	ClientPEM    string   `json:"client_key_pem"`
	TimestampTag hexBytes `json:"wkc_timestamp_tag"`
}

func loadV2(t testing.TB) (v v2Vector) {
	t.Helper()
	load(t, "f_tls_crypt_v2.json", &v)
	return v
}

func TestKeyFiles(t *testing.T) {
	v := loadV2(t)
	server, err := ParseWrapKey([]byte(v.ServerPEM))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]byte(v.ServerKey), server[:]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(v.ServerPEM, string(server.Format())); diff != "" {
		t.Error(diff)
	}
	client, err := ParseClientKey([]byte("text in front\n" + v.ServerPEM + v.ClientPEM))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]byte(v.WKcTime), client.WKc); diff != "" || client.Key != StaticKey(v.Kc) {
		t.Errorf("client key: %s", diff)
	}
	if diff := cmp.Diff(v.ClientPEM, string(client.Format())); diff != "" {
		t.Error(diff)
	}
	token, err := GenerateTokenKey(bytes.NewReader(v.Kc))
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseTokenKey(token.Format())
	if err != nil || *again != *token {
		t.Errorf("auth-token key: %v", err)
	}
}

func TestKeyFilesRefused(t *testing.T) {
	v := loadV2(t)
	block := func(name string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: name, Bytes: b}))
	}
	parse := map[string]func([]byte) error{
		"server": func(b []byte) error { _, err := ParseWrapKey(b); return err },
		"client": func(b []byte) error { _, err := ParseClientKey(b); return err },
		"token":  func(b []byte) error { _, err := ParseTokenKey(b); return err },
	}
	tests := []struct {
		name, parser, in string
		want             error
	}{
		{"empty", "server", "", ErrNoKey},
		{"client file for the server", "server", v.ClientPEM, ErrNoKey},
		{"server file for the client", "client", v.ServerPEM, ErrNoKey},
		{"short server key", "server", block(pemV2Server, v.ServerKey[1:]), ErrKeySize},
		{"long server key", "server", block(pemV2Server, append(v.ServerKey, 0)), ErrKeySize},
		{"client key without WKc", "client", block(pemV2Client, v.Kc), ErrKeySize},
		{"client key cut", "client", block(pemV2Client, v.Kc[1:]), ErrKeySize},
		{"byte between key and WKc", "client", block(pemV2Client, bytes.Join([][]byte{v.Kc, {0}, v.WKcTime}, nil)), ErrKeySize},
		{"short token key", "token", block(pemAuthToken, v.ServerKey[1:]), ErrKeySize},
		{"no token key", "token", v.ServerPEM, ErrNoKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := parse[tt.parser]([]byte(tt.in)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestWrappedClientKey(t *testing.T) {
	v := loadV2(t)
	server, kc := (*WrapKey)(v.ServerKey), (*StaticKey)(v.Kc)
	created := time.Unix(1694498816, 0)
	user, err := UserMetadata([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name           string
		metadata, want []byte
		inFile         []byte
	}{
		{"time", TimeMetadata(created), v.WKcTime, v.MetaTime},
		{"user", user, v.WKcUser, v.MetaUser},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.inFile, tt.metadata); diff != "" {
				t.Errorf("metadata: %s", diff)
			}
			wkc, err := server.Wrap(kc, tt.metadata)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, wkc); diff != "" {
				t.Error(diff)
			}
			before := bytes.Clone(wkc)
			got, metadata, err := server.Unwrap(wkc)
			if err != nil || *got != *kc || !bytes.Equal(metadata, tt.metadata) || !bytes.Equal(before, wkc) {
				t.Errorf("unwrap: %v, metadata %x", err, metadata)
			}
			for i := range wkc {
				wkc[i] ^= 0x10
				if _, _, err := server.Unwrap(wkc); !errors.Is(err, ErrWKc) {
					t.Fatalf("byte %d changed: %v, want %v", i, err, ErrWKc)
				}
				wkc[i] ^= 0x10
			}
		})
	}
	if got, ok := MetadataCreation(v.MetaTime); !ok || !got.Equal(created) {
		t.Errorf("creation: %v, %v", got, ok)
	}
	if _, ok := MetadataCreation(v.MetaUser); ok {
		t.Error("user metadata has a creation time")
	}
}

func TestMetadataLimit(t *testing.T) {
	v := loadV2(t)
	server, kc := (*WrapKey)(v.ServerKey), (*StaticKey)(v.Kc)
	longest, err := UserMetadata(make([]byte, 733))
	if err != nil {
		t.Fatal(err)
	}
	wkc, err := server.Wrap(kc, longest)
	if err != nil || len(wkc) != MaxWKc {
		t.Fatalf("%d bytes, %v", len(wkc), err)
	}
	if _, _, err := server.Unwrap(wkc); err != nil {
		t.Error(err)
	}
	if _, err := UserMetadata(make([]byte, 734)); !errors.Is(err, ErrMetadata) {
		t.Errorf("user data: got %v, want %v", err, ErrMetadata)
	}
	if _, err := server.Wrap(kc, make([]byte, MaxMetadata+1)); !errors.Is(err, ErrMetadata) {
		t.Errorf("wrap: got %v, want %v", err, ErrMetadata)
	}
}

func FuzzKeyFiles(f *testing.F) {
	v := loadV2(f)
	for _, s := range []string{v.ServerPEM, v.ClientPEM} {
		for cut := 0; cut <= len(s); cut += 17 {
			f.Add([]byte(s[:cut]))
		}
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if k, err := ParseWrapKey(in); err == nil {
			if again, err := ParseWrapKey(k.Format()); err != nil || *again != *k {
				t.Errorf("server key read again: %v", err)
			}
		}
		if k, err := ParseClientKey(in); err == nil {
			if again, err := ParseClientKey(k.Format()); err != nil || again.Key != k.Key || !bytes.Equal(again.WKc, k.WKc) {
				t.Errorf("client key read again: %v", err)
			}
		}
		if k, err := ParseTokenKey(in); err == nil {
			if again, err := ParseTokenKey(k.Format()); err != nil || *again != *k {
				t.Errorf("token key read again: %v", err)
			}
		}
	})
}

func FuzzWKc(f *testing.F) {
	v := loadV2(f)
	f.Add([]byte(v.WKcTime))
	f.Add([]byte(v.WKcUser))
	f.Add(append([]byte{0x50, 1, 2}, v.WKcUser...))
	for cut := 0; cut < len(v.WKcTime); cut += 31 {
		f.Add([]byte(v.WKcTime[cut:]))
	}
	server := (*WrapKey)(v.ServerKey)
	f.Fuzz(func(t *testing.T, in []byte) {
		rest, wkc, err := SplitWKc(in)
		if err != nil {
			return
		}
		if len(wkc) > MaxWKc || len(rest)+len(wkc) != len(in) {
			t.Fatalf("split %d bytes into %d and %d", len(in), len(rest), len(wkc))
		}
		kc, metadata, err := server.Unwrap(wkc)
		if err != nil {
			return
		}
		if again, err := server.Wrap(kc, metadata); err != nil || !bytes.Equal(again, wkc) {
			t.Errorf("wrapped again: %v", err)
		}
	})
}
