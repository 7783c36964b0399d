package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// The last words reach a seat whose commands are being answered that very moment.
func TestFatalBetweenReplies(t *testing.T) {
	for range 50 {
		d := mgmttest.NewDaemon(t, server.Config{})
		s := attach(t, dial(t, "tcp", d.ListenTCP(server.Access{})))
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for ctx.Err() == nil {
				if _, err := s.conn.Write([]byte("pid\nstate\n")); err != nil {
					return
				}
			}
		}()
		s.until("SUCCESS: pid=")
		go d.Fatal("the end")
		s.until(">FATAL:the end")
		cancel()
		s.conn.Close()
		<-sent
		d.Stop()
	}
}

// Commands that came behind the password are answered like all others, however many they are.
func TestManyCommandsBehindPassword(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{Limits: server.Limits{Replies: 1024}})
	conn := dial(t, "tcp", d.ListenTCP(server.Access{Passwords: []server.Password{{Text: "x"}}}))
	const n = 500
	fmt.Fprint(conn, "x\n"+strings.Repeat("pid\n", n)+"version\n")
	s := attach(t, conn)
	for range n {
		s.until("SUCCESS: pid=")
	}
	s.until("END")
	d.InfoMsg("and more")
	s.until(">INFOMSG:and more")
}

func BenchmarkOneCommandAtATime(b *testing.B) {
	d := mgmttest.NewDaemon(b, server.Config{})
	conn, err := net.Dial("unix", d.ListenUnix(server.Access{}))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	if _, err := r.ReadString('\n'); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write([]byte("pid\n")); err != nil {
			b.Fatal(err)
		}
		if _, err := r.ReadSlice('\n'); err != nil {
			b.Fatal(err)
		}
	}
}
