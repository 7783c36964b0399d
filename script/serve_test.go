package script_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/script"
)

// Peers that hold connections, each in its way, keep nobody from what a script serves, and leave nothing behind.
func TestServedAddressIsNotHeld(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	before := runtime.NumGoroutine()
	ended := make(chan error, 1)
	go func() {
		_, _, err := run(t, &daemon{}, `
			http.serve(moongate.args[1], function(req)
				if req.path == "/end" then moongate.after(0, function() moongate.stop() end) end
				return req.path
			end)`, script.Options{Args: []string{socket}, Allow: allow(t, "http")})
		ended <- err
	}()
	dial := func() (net.Conn, error) {
		for stop := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if c, err := net.Dial("unix", socket); err == nil || time.Now().After(stop) {
				return c, err
			}
		}
	}
	client := http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return dial() }}}
	get := func(path string) string {
		r, err := client.Get("http://script" + path)
		if err != nil {
			return err.Error()
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return string(b)
	}
	for i, text := range []string{
		"", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
	} {
		for range 100 {
			c, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, text) // it may have been let go already
		}
		if path := fmt.Sprint("/", i); get(path) != path {
			t.Errorf("beside %q: no answer", text)
		}
	}
	if got := get("/end"); got != "/end" {
		t.Fatal(got)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("the script does not end")
	}
	for stop := time.Now().Add(15 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(stop) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}
