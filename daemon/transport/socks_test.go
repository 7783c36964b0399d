package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSOCKSConnect(t *testing.T) {
	okReply := []byte{5, 0, 0, 1, 10, 0, 0, 1, 0, 80}
	named := append([]byte{5, 0, 0, 3, 4}, "host\x00\x50"...)
	tests := []struct {
		name    string
		proxy   SOCKSProxy
		host    string
		answers [][]byte // after each message
		want    [][]byte // messages
		err     string
		again   bool
	}{
		{
			name: "v4, no auth", host: "1.2.3.4", answers: [][]byte{{5, 0}, okReply},
			want: [][]byte{{5, 1, 0}, {5, 1, 0, 1, 1, 2, 3, 4, 4, 170}},
		},
		{
			name: "name, password", host: "vpn", proxy: SOCKSProxy{Username: "u", Password: "pw"}, answers: [][]byte{{5, 2}, {1, 0}, named},
			want: [][]byte{{5, 2, 0, 2}, append([]byte{1, 1}, "u\x02pw"...), append([]byte{5, 1, 0, 3, 3}, "vpn\x04\xaa"...)},
		},
		{
			name: "v6, password not wanted", host: "::1", proxy: SOCKSProxy{Username: "u", Password: "pw"}, answers: [][]byte{{5, 0}, okReply},
			want: [][]byte{{5, 2, 0, 2}, append(append([]byte{5, 1, 0, 4}, netip.IPv6Loopback().AsSlice()...), 4, 170)},
		},
		{name: "password refused", host: "1.2.3.4", proxy: SOCKSProxy{Username: "u", Password: "pw"}, answers: [][]byte{{5, 2}, {1, 1}}, err: "socks_username_password_auth: server refused the authentication", again: true},
		{name: "nothing acceptable", host: "1.2.3.4", answers: [][]byte{{5, 0xff}}, err: "socks_handshake: Socks proxy returned unexpected auth (255)", again: true},
		{name: "not offered", host: "1.2.3.4", answers: [][]byte{{5, 2}}, err: "socks_handshake: Socks proxy returned unexpected auth (2)"},
		{name: "version 4", host: "1.2.3.4", answers: [][]byte{{4, 0}}, err: "socks_handshake: Socks proxy returned bad status (not SOCKS version 5)"},
		{name: "refused", host: "1.2.3.4", answers: [][]byte{{5, 0}, {5, 5, 0, 1}}, err: "recv_socks_reply: Socks proxy returned bad reply (connection refused)"},
		{name: "odd code", host: "1.2.3.4", answers: [][]byte{{5, 0}, {5, 99, 0, 1}}, err: "recv_socks_reply: Socks proxy returned bad reply (reply code 99)"},
		{name: "odd type", host: "1.2.3.4", answers: [][]byte{{5, 0}, {5, 0, 0, 9}}, err: "recv_socks_reply: Socks proxy returned bad address type (9)"},
		{name: "cut off", host: "1.2.3.4", answers: [][]byte{{5, 0}, {5, 0, 0, 1, 10}}, err: "read from SOCKS proxy: unexpected EOF"},
		{name: "long name", host: strings.Repeat("x", 256), answers: [][]byte{{5, 0}}, err: "SOCKS proxy: host name of 256 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rw := &dialogue{answers: tt.answers}
			_, err := tt.proxy.request(rw, nil, socksConnect, tt.host, 1194)
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Fatalf("%v, want %s", err, tt.err)
				}
				var pe *ProxyError
				if again := errors.As(err, &pe) && pe.Auth; again != tt.again {
					t.Errorf("asks for credentials: %v, want %v", again, tt.again)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, rw.sent); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// dialogue answers each message written.
type dialogue struct {
	answers [][]byte
	sent    [][]byte
	in      bytes.Buffer
}

func (d *dialogue) Write(p []byte) (int, error) {
	d.sent = append(d.sent, bytes.Clone(p))
	if len(d.answers) > 0 {
		d.in.Write(d.answers[0])
		d.answers = d.answers[1:]
	}
	return len(p), nil
}

func (d *dialogue) Read(p []byte) (int, error) { return d.in.Read(p) }

// A UDP association through a small relay, both ways, and its end.
func TestSOCKSUDP(t *testing.T) {
	server, err := ListenUDP(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, server)
	relay, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	relayed := make(chan struct{})
	go func() {
		defer close(relayed)
		var client netip.AddrPort
		buf := make([]byte, 3000)
		for {
			n, from, err := relay.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if from == server.LocalAddr() {
				h := binary.BigEndian.AppendUint16(appendSOCKSAddr([]byte{0, 0, 0}, from.Addr()), from.Port())
				// A datagram from elsewhere must not get through.
				_, _ = relay.WriteToUDPAddrPort([]byte{0, 0, 0, 1, 9, 9, 9, 9, 0, 1, 'x'}, client)
				_, _ = relay.WriteToUDPAddrPort(append(h, buf[:n]...), client)
				continue
			}
			client = from
			to, body, ok := parseSOCKSDatagram(buf[:n])
			if ok {
				_, _ = relay.WriteToUDPAddrPort(body, to)
			}
		}
	}()
	t.Cleanup(func() { _ = relay.Close(); <-relayed })
	end := make(chan struct{})
	proxy := tcpServer(t, func(c net.Conn) {
		buf := make([]byte, 10)
		_, _ = io.ReadFull(c, buf[:3])
		_, _ = c.Write([]byte{5, 0})
		_, _ = io.ReadFull(c, buf)
		port := addrPort(relay.LocalAddr()).Port()
		_, _ = c.Write(binary.BigEndian.AppendUint16([]byte{5, 0, 0, 1, 0, 0, 0, 0}, port)) // "myself"
		<-end
	})
	l, err := DialUDP(t.Context(), DialConfig{
		Remote: proxy, SOCKS: &SOCKSProxy{}, TargetHost: "127.0.0.1", TargetPort: server.LocalAddr().Port(),
	})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, l)
	want := packets(100, 100, 100, 30)
	if err := l.Send(Peer{}, want); err != nil {
		t.Fatal(err)
	}
	peer, got := receive(t, server, len(want))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("to server (-want +got):\n%s", diff)
	}
	if err := server.Send(peer, want[:2]); err != nil {
		t.Fatal(err)
	}
	from, got := receive(t, l, 2)
	if diff := cmp.Diff(want[:2], got); diff != "" {
		t.Errorf("to client (-want +got):\n%s", diff)
	}
	if from.Addr != server.LocalAddr() || l.RemoteAddr() != server.LocalAddr() {
		t.Errorf("from %v, remote %v, want %v", from, l.RemoteAddr(), server.LocalAddr())
	}
	close(end)
	if err := l.Recv(NewBatch()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the association ended: %v", err)
	}
}

func FuzzSOCKSDatagram(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 1, 2, 3, 4, 0, 80, 'x'})
	f.Add([]byte{0, 0, 0, 4})
	f.Fuzz(func(t *testing.T, in []byte) {
		from, body, ok := parseSOCKSDatagram(in)
		if ok && (!from.Addr().IsValid() || len(body) == 0 || len(body) > len(in)-10) {
			t.Fatalf("%v %d of %d", from, len(body), len(in))
		}
	})
}

// Any answers of a proxy end the dialogue with an address or an error, and no more is read than belongs to it.
func FuzzSOCKSReplies(f *testing.F) {
	f.Add([]byte{5, 0, 5, 0, 0, 1, 10, 0, 0, 1, 0, 80}, false)
	f.Add([]byte{5, 2, 1, 0, 5, 0, 0, 3, 1, 'a', 0, 80}, true)
	f.Add([]byte{5, 2, 1, 1}, true)
	f.Add([]byte{5, 0xff}, true)
	f.Add([]byte{5, 0, 5, 200, 0, 9}, false)
	f.Fuzz(func(t *testing.T, in []byte, login bool) {
		p := &SOCKSProxy{}
		if login {
			p.Username, p.Password = "user", "pass"
		}
		proxy := struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(in), io.Discard}
		bound, err := p.request(proxy, func() error { return errors.New("nobody to ask") }, socksConnect, "vpn.example", 1194)
		if err != nil {
			return
		}
		left := proxy.Reader.(*bytes.Reader).Len()
		if used := len(in) - left; used < 9 || used > 2+2+4+1+255+2 {
			t.Fatalf("%d bytes read for %v", used, bound)
		}
		if in[0] != socksVersion || in[1] != socksNoAuth && !(login && in[1] == socksUserPass) {
			t.Fatalf("%x is taken for a success", in)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add(`realm="a", nonce=b`)
	f.Fuzz(func(t *testing.T, in string) {
		n := 0
		for k, v := range parseChallenge(in) {
			n += len(k) + len(v)
		}
		if n > 3*len(in) { // lower case of bytes that are no UTF-8 takes three
			t.Fatalf("%d bytes out of %d", n, len(in))
		}
	})
}
