package keys

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

type randoms struct {
	PreMaster     hexBytes `json:"pre_master"`
	ClientRandom1 hexBytes `json:"client_random1"`
	ClientRandom2 hexBytes `json:"client_random2"`
	ServerRandom1 hexBytes `json:"server_random1"`
	ServerRandom2 hexBytes `json:"server_random2"`
	ClientID      hexBytes `json:"client_session_id"`
	ServerID      hexBytes `json:"server_session_id"`
}

func (r *randoms) messages() (client, server *Message) {
	return &Message{PreMaster: [48]byte(r.PreMaster), Random1: [32]byte(r.ClientRandom1), Random2: [32]byte(r.ClientRandom2)},
		&Message{Random1: [32]byte(r.ServerRandom1), Random2: [32]byte(r.ServerRandom2)}
}

type prfVector struct {
	Inputs randoms  `json:"inputs"`
	Block  hexBytes `json:"key_block_256"`
	Slices struct {
		ClientCipher hexBytes `json:"client_encrypt_cipher"`
		ClientHMAC   hexBytes `json:"client_encrypt_hmac"`
		ServerCipher hexBytes `json:"server_encrypt_cipher"`
		ServerHMAC   hexBytes `json:"server_encrypt_hmac"`
	} `json:"slices"`
	Messages struct {
		ClientOptions string   `json:"client_options"`
		ServerOptions string   `json:"server_options"`
		Username      string   `json:"username"`
		Password      string   `json:"password"`
		PeerInfo      string   `json:"client_peer_info"`
		Client        hexBytes `json:"client_message"`
		Server        hexBytes `json:"server_message"`
	} `json:"messages"`
	Observed struct {
		Inputs    randoms  `json:"inputs"`
		Block     hexBytes `json:"key_block_256"`
		ClientKey hexBytes `json:"logged_client_to_server_key"`
		ServerKey hexBytes `json:"logged_server_to_client_key"`
	} `json:"observed_session"`
}

func loadPRF(t testing.TB) (v prfVector) {
	t.Helper()
	load(t, "b_key_method2_prf.json", &v)
	return v
}

func TestMessage(t *testing.T) {
	v := loadPRF(t)
	client, server := v.Inputs.messages()
	client.Options, client.Username, client.Password = v.Messages.ClientOptions, v.Messages.Username, v.Messages.Password
	client.PeerInfo, server.Options = v.Messages.PeerInfo, v.Messages.ServerOptions
	tests := []struct {
		sender Role
		msg    *Message
		wire   []byte
	}{{Client, client, v.Messages.Client}, {Server, server, v.Messages.Server}}
	for _, tt := range tests {
		t.Run(tt.sender.String(), func(t *testing.T) {
			got, err := tt.msg.Append([]byte("x"), tt.sender)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.wire, got[1:]); diff != "" {
				t.Error(diff)
			}
			var parsed Message
			n, err := parsed.Parse(append(got[1:], "PUSH_REQUEST"...), tt.sender)
			if err != nil || n != len(tt.wire) {
				t.Fatalf("%d of %d bytes, %v", n, len(tt.wire), err)
			}
			if diff := cmp.Diff(tt.msg, &parsed); diff != "" {
				t.Error(diff)
			}
			// A prefix is incomplete, or the shorter message of an old peer without the trailing fields.
			for cut := range tt.wire {
				n, err := parsed.Parse(tt.wire[:cut], tt.sender)
				if err == nil && (n != cut || cut < len(tt.wire)-len(tt.msg.PeerInfo)-len(tt.msg.Username)-len(tt.msg.Password)-9) ||
					err != nil && !errors.Is(err, ErrMessageShort) {
					t.Errorf("cut at %d: %d bytes, %v", cut, n, err)
				}
			}
		})
	}
}

func TestMessageRefused(t *testing.T) {
	head := append([]byte{0, 0, 0, 0, 2}, make([]byte, 64)...)
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, ErrMessageShort},
		{"literal", append([]byte{0, 0, 0, 1, 2}, head...), ErrKeyMethod},
		{"method 1", append([]byte{0, 0, 0, 0, 1}, head...), ErrKeyMethod},
		{"options too long", append(bytes.Clone(head), 2, 1), ErrMessageString},
		{"string without NUL", append(bytes.Clone(head), 0, 2, 'V', '4'), ErrMessageString},
		{"user name too long", append(bytes.Clone(head), 0, 0, 0x10, 1), ErrMessageString},
		{"string cut", append(bytes.Clone(head), 0, 3, 'V', '4'), ErrMessageShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m Message
			if _, err := m.Parse(tt.in, Server); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	for name, m := range map[string]*Message{
		"options of 512":  {Options: strings.Repeat("x", 512)},
		"NUL in user":     {Username: "a\x00b"},
		"password of 4 K": {Password: strings.Repeat("x", MaxUserPass)},
	} {
		if got, err := m.Append([]byte("x"), Client); !errors.Is(err, ErrMessageString) || string(got) != "x" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// An empty password counts as given only when it is a string of its own.
func TestMessageEmptyPassword(t *testing.T) {
	for _, c := range []struct {
		m    Message
		want string // behind the options string
	}{
		{Message{Username: "u"}, "\x00\x02u\x00\x00\x01\x00\x00\x00"},
		{Message{}, "\x00\x00\x00\x00\x00\x00"},
	} {
		b, err := c.m.Append(nil, Server)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(b[len(b)-len(c.want):]); got != c.want {
			t.Errorf("username %q: %q, want %q", c.m.Username, got, c.want)
		}
		var back Message
		if _, err := back.Parse(b, Server); err != nil || back.Username != c.m.Username || back.Password != "" {
			t.Errorf("username %q comes back as %q, %q: %v", c.m.Username, back.Username, back.Password, err)
		}
	}
}

func TestFillAndWipe(t *testing.T) {
	var m Message
	if err := m.Fill(bytes.NewReader(bytes.Repeat([]byte{9}, 112)), Client); err != nil {
		t.Fatal(err)
	}
	if m.PreMaster[47] != 9 || m.Random1[31] != 9 || m.Random2[31] != 9 {
		t.Error("randoms not filled")
	}
	m.Password = "secret"
	m.Wipe()
	if diff := cmp.Diff(Message{}, m); diff != "" {
		t.Error(diff)
	}
	if err := m.Fill(bytes.NewReader(bytes.Repeat([]byte{9}, 63)), Server); err == nil {
		t.Error("no error without enough randomness")
	}
}

func TestDeriveBlock(t *testing.T) {
	v := loadPRF(t)
	for name, s := range map[string]struct {
		in   *randoms
		want []byte
	}{
		"computed": {&v.Inputs, v.Block},
		"observed": {&v.Observed.Inputs, v.Observed.Block},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := s.in.messages()
			b, err := DeriveBlock(client, server, wire.SessionID(s.in.ClientID), wire.SessionID(s.in.ServerID))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.want, b[:]); diff != "" {
				t.Error(diff)
			}
			if name == "observed" {
				if !bytes.Equal(b.Cipher(Client)[:32], v.Observed.ClientKey) || !bytes.Equal(b.Cipher(Server)[:32], v.Observed.ServerKey) {
					t.Error("not the keys stock logged")
				}
				return
			}
			got := [][]byte{b.Cipher(Client), b.HMAC(Client), b.Cipher(Server), b.HMAC(Server)}
			want := [][]byte{v.Slices.ClientCipher, v.Slices.ClientHMAC, v.Slices.ServerCipher, v.Slices.ServerHMAC}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNewBlock(t *testing.T) {
	good := bytes.Repeat([]byte{1}, 256)
	clientZero, serverZero := bytes.Clone(good), bytes.Clone(good)
	clear(clientZero[:64])
	clear(serverZero[128:192])
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"good", good, nil},
		{"short", good[1:], ErrKeySize},
		{"client cipher zero", clientZero, ErrZeroKey},
		{"server cipher zero", serverZero, ErrZeroKey},
	}
	for _, tt := range tests {
		if _, err := NewBlock(tt.in); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	v := loadPRF(f)
	for cut := 0; cut <= len(v.Messages.Client); cut += 7 {
		f.Add([]byte(v.Messages.Client[:cut]), true)
	}
	f.Add([]byte(v.Messages.Client), true)
	f.Add([]byte(v.Messages.Server), false)
	f.Fuzz(func(t *testing.T, in []byte, client bool) {
		sender := Server
		if client {
			sender = Client
		}
		var m, again Message
		n, err := m.Parse(in, sender)
		if err != nil {
			return
		}
		if n > len(in) {
			t.Fatalf("%d bytes of %d", n, len(in))
		}
		out, err := m.Append(nil, sender)
		if err != nil {
			t.Fatalf("parsed, but cannot be written: %v", err)
		}
		if _, err := again.Parse(out, sender); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Error(diff)
		}
	})
}
