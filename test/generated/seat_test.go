//go:build linux

package generated

import (
	"bufio"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// seat describes a program that holds an end's management port (mgmt.sock), for example a GUI, a supervisor, or a service that decides about logins. The
// program gives its commands, answers every question, and takes the port again when the daemon starts anew.
type seat struct {
	Commands []string `json:"commands"`
	Listen   int      `json:"listen"` // the daemon calls (management-client)
	Push     []string `json:"push"`   // what an admitted client gets in place of client-auth-nt
}

// held is a seat that is taken, and what it was told.
type held struct {
	seat
	a    *authority
	who  string
	mu   sync.Mutex
	told facts
}

// take holds the port of an end until the test ends.
func (s seat) take(t *testing.T, a *authority, who, dir string) *held {
	t.Helper()
	h := &held{seat: s, a: a, who: who, told: make(facts)}
	path := filepath.Join(dir, "mgmt.sock")
	connect := func() (net.Conn, error) { return net.Dial("unix", path) }
	leave := func() {}
	if s.Listen != 0 {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		connect, leave = l.Accept, func() { l.Close() }
	}
	over := make(chan struct{})
	var current net.Conn
	var run sync.WaitGroup
	run.Go(func() {
		for {
			c, err := connect()
			if err == nil {
				h.mu.Lock()
				current = c
				h.mu.Unlock()
				h.talk(c)
				c.Close()
			}
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		close(over)
		leave()
		h.mu.Lock()
		if current != nil {
			current.Close()
		}
		h.mu.Unlock()
		run.Wait()
	})
	return h
}

// talk is one connection, until its end.
func (h *held) talk(c net.Conn) {
	say := func(lines ...string) {
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprint(c, strings.Join(lines, "\n")+"\n")
	}
	say(h.Commands...)
	var client, key string // whom an environment is about that waits for a decision
	in := bufio.NewScanner(c)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		line := in.Text()
		if !strings.HasPrefix(line, ">") {
			continue
		}
		kind, rest, _ := strings.Cut(line[1:], ":")
		h.note(kind, rest)
		what := quoted.FindString(rest)
		switch kind {
		case "HOLD":
			say("hold release")
		case "REMOTE":
			say("remote ACCEPT")
		case "PROXY":
			say("proxy NONE")
		case "NEED-OK":
			say("needok " + what + " ok")
		case "NEED-CERTIFICATE":
			say("certificate", strings.TrimSpace(string(h.a.client.CertPEM)), "END")
		case "PK_SIGN":
			data, _, _ := strings.Cut(rest, ",")
			say("pk-sig", h.sign(data), "END")
		case "PASSWORD":
			switch {
			case strings.Contains(rest, "username/password"):
				say("username "+what+" alice", "password "+what+" secret")
			case strings.HasPrefix(rest, "Need"):
				say("password " + what + ` "open sesame"`)
			}
		case "CLIENT":
			words := strings.Split(rest, ",")
			switch {
			case (words[0] == "CONNECT" || words[0] == "REAUTH") && len(words) > 2:
				client, key = words[1], words[2]
			case rest == "ENV,END" && client != "":
				if h.Push == nil {
					say("client-auth-nt " + client + " " + key)
				} else {
					say("client-auth "+client+" "+key, strings.Join(h.Push, "\n"), "END")
				}
				client = ""
			}
		}
	}
}

// quoted is the name in a question, as it stands.
var quoted = regexp.MustCompile(`'[^']*'`)

// sign answers a challenge of management-external-key without padding: the data is a digest.
func (h *held) sign(data string) string {
	digest, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return err.Error()
	}
	var hash crypto.Hash
	for _, of := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA1} {
		if of.Size() == len(digest) {
			hash = of
		}
	}
	if hash == 0 {
		sum := sha256.Sum256(digest)
		digest, hash = sum[:], crypto.SHA256
	}
	signature, err := h.a.client.Key.Sign(rand.Reader, digest, hash)
	if err != nil {
		return err.Error()
	}
	return lines64(base64.StdEncoding.EncodeToString(signature))
}

var (
	// unheard are notifications that come as often as they like.
	unheard = map[string]bool{"BYTECOUNT": true, "BYTECOUNT_CLI": true, "LOG": true, "INFO": true, "PK_SIGN": true}
	// moment is a time in one of them, and a client's port.
	token  = regexp.MustCompile(`SESS_ID_AT_[\w+/=]+`)
	moment = regexp.MustCompile(`^\d{10},|(\b10\.99\.0\.2[,:])\d{4,5}`)
)

// note keeps what came, each once.
func (h *held) note(kind, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if unheard[kind] || strings.Contains(text, ",GET_CONFIG,") { // whether a client has to ask for its options is a matter of milliseconds
		return
	}
	if variable, ok := strings.CutPrefix(text, "ENV,"); ok {
		name, value, given := strings.Cut(variable, "=")
		if given && !volatile.MatchString(name) {
			if hardware.FindString(value) == value && value != "" {
				value = "MAC"
			}
			h.told[h.who+" env port: "+name] = value
		}
		return
	}
	h.told[h.who+" port: >"+kind+":"+token.ReplaceAllString(moment.ReplaceAllString(text, "$1"), "TOKEN")] = "told"
}

// facts adds what the seat was told.
func (h *held) facts(t *testing.T, to facts, dir string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, value := range h.told {
		to[strings.ReplaceAll(key, dir, "@D@")] = strings.ReplaceAll(value, dir, "@D@")
	}
}
