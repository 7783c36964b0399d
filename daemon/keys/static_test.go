package keys

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func staticVector(t testing.TB) (key StaticKey, file string) {
	t.Helper()
	var v struct {
		Key  hexBytes `json:"static_key"`
		File string   `json:"static_key_file"`
	}
	load(t, "a_tls_crypt.json", &v)
	return StaticKey(v.Key), v.File
}

func TestParseStaticKey(t *testing.T) {
	want, file := staticVector(t)
	digits := strings.TrimSuffix(strings.TrimPrefix(file, staticBegin+"\n"), staticEnd+"\n")
	tests := []struct {
		name string
		in   string
		err  error
	}{
		{"as written", file, nil},
		{"our own format", string(want.Format()), nil},
		{"text around", "# comment\n" + file + "<trailer>", nil},
		{"carriage returns", strings.ReplaceAll(file, "\n", "\r\n"), nil},
		{"one line, upper case", staticBegin + strings.ToUpper(strings.ReplaceAll(digits, "\n", "")) + staticEnd, nil},
		{"empty", "", ErrNoKey},
		{"no end", strings.TrimSuffix(file, staticEnd+"\n"), ErrNoKey},
		{"no digits", staticBegin + "\n" + staticEnd, ErrKeySize},
		{"one digit short", staticBegin + "\n" + digits[1:] + staticEnd, ErrKeySize},
		{"not a digit", staticBegin + "\ng" + digits[1:] + staticEnd, ErrKeyText},
		{"a comment between", staticBegin + "\n# x\n" + digits + staticEnd, ErrKeyText},
		{"a key of 1024 bits", staticBegin + "\n" + digits[:len(digits)/2] + staticEnd, ErrKeySize},
		// stock 2.6.14: openvpn --tls-client --dev null --remote 127.0.0.1 9 --nobind --ca c --cert c --key k --tls-crypt FILE
		{"digits behind the last", staticBegin + "\n" + digits + digits[:33] + staticEnd, nil},
		{"text behind the last digit", staticBegin + "\n" + digits + "zz\n" + staticEnd, nil},
		{"text behind BEGIN", strings.Replace(file, staticBegin, staticBegin+" of 2019", 1), nil},
		{"two keys", file + strings.ReplaceAll(file, "1", "2"), nil},
		{"blanks everywhere", staticBegin + " \n" + strings.Join(strings.Split(digits, ""), " ") + staticEnd, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseStaticKey([]byte(tt.in))
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err == nil && *got != want {
				t.Error("another key")
			}
		})
	}
	if n := len(want.Format()); n != 636 {
		t.Errorf("a key file has %d bytes, want 636", n)
	}
}

// Stock 2.6.14 refuses such keys under tls-crypt and secret, "Key #1 in 'FILE' is bad", and takes them under tls-auth.
func TestCheckCipher(t *testing.T) {
	whole, _ := staticVector(t)
	for name, tt := range map[string]struct {
		from, to int // set to zero
		weak     bool
	}{
		"as made": {0, 0, false}, "all": {0, 256, true}, "cipher of half 0": {0, 64, true}, "cipher of half 1": {128, 192, true}, "what AES-256 takes": {0, 32, true},
		"what it leaves": {32, 64, false}, "HMAC of half 0": {64, 128, false}, "HMAC of half 1": {192, 256, false}, "all but one byte": {1, 256, true},
	} {
		k := whole
		clear(k[tt.from:tt.to])
		if err := k.CheckCipher(); errors.Is(err, ErrWeakKey) != tt.weak {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHalves(t *testing.T) {
	var k StaticKey
	for i := range k {
		k[i] = byte(i)
	}
	for half := range 2 {
		if c, h := k.Cipher(half), k.HMAC(half); c[0] != byte(half*128) || h[0] != byte(half*128+64) || len(c) != 64 || len(h) != 64 {
			t.Errorf("half %d begins with %d and %d, lengths %d and %d", half, c[0], h[0], len(c), len(h))
		}
	}
	tests := []struct {
		dir           Direction
		send, receive int
	}{{Bidirectional, 0, 0}, {Direction0, 0, 1}, {Direction1, 1, 0}}
	for _, tt := range tests {
		if tt.dir.Send() != tt.send || tt.dir.Receive() != tt.receive {
			t.Errorf("direction %d sends %d, receives %d", tt.dir, tt.dir.Send(), tt.dir.Receive())
		}
	}
	if WrapHalf(Server) != 0 || WrapHalf(Client) != 1 {
		t.Error("tls-crypt: the server sends with half 0, the client with half 1")
	}
}

// TestSecretsDoNotPrint holds every secret type to its promise under fmt and slog.
func TestSecretsDoNotPrint(t *testing.T) {
	mark := bytes.Repeat([]byte{0xAB}, 256)
	values := map[string]any{
		"StaticKey":  StaticKey(mark),
		"*StaticKey": (*StaticKey)(mark),
		"WrapKey":    WrapKey(mark[:128]),
		"*WrapKey":   (*WrapKey)(mark[:128]),
		"TokenKey":   TokenKey(mark[:128]),
		"ClientKey":  ClientKey{Key: StaticKey(mark), WKc: mark},
		"*ClientKey": &ClientKey{Key: StaticKey(mark), WKc: mark},
		"Block":      Block(mark),
		"*Block":     (*Block)(mark),
		"*Message":   &Message{Password: "hunter2", PreMaster: [48]byte(mark)},
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
			if name != "*Message" {
				fmt.Fprintf(&out, "%v %+v %#v %s", v, v, v, v)
			}
			for _, leak := range []string{"171 171", "abab", "0xab", "hunter2", "\xab"} {
				if strings.Contains(strings.ToLower(out.String()), leak) {
					t.Errorf("prints %q in %s", leak, out.String())
				}
			}
		})
	}
}

func TestDynamicKeyXOR(t *testing.T) {
	var v struct {
		D struct {
			Exported hexBytes `json:"exported_256"`
			Wrap     hexBytes `json:"wrap_key_256"`
			Want     hexBytes `json:"with_wrap_key_xor"`
		} `json:"dynamic_tls_crypt"`
	}
	load(t, "i_misc.json", &v)
	got := (*StaticKey)(v.D.Exported).XOR((*StaticKey)(v.D.Wrap))
	if diff := cmp.Diff([]byte(v.D.Want), got[:]); diff != "" {
		t.Error(diff)
	}
}

func FuzzStaticKey(f *testing.F) {
	_, file := staticVector(f)
	for cut := 0; cut <= len(file); cut += 13 {
		f.Add([]byte(file[:cut]))
	}
	f.Add([]byte(file))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := ParseStaticKey(in)
		if err != nil {
			return
		}
		again, err := ParseStaticKey(k.Format())
		if err != nil || *again != *k {
			t.Errorf("written and read again: %v", err)
		}
	})
}
