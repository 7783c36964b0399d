package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// wallClock are the methods and functions that make or take a time without a monotonic part. A step of the system's clock
// makes elapsed time wrong that is computed from it.
var wallClock = map[string]bool{"Unix": true, "UnixNano": true, "UnixMilli": true, "UnixMicro": true}

// wallTimes are the files that may use them, each with its reason. Tests may.
var wallTimes = map[string]string{
	"ctrlwrap/wrapper.go":           "the time in packet ids is the peer's business",
	"daemontest/pki/pki.go":         "serial numbers of revocation lists",
	"data/legacy.go":                "the time in packet ids is the peer's business",
	"keys/token.go":                 "tokens outlive the program",
	"keys/wkc.go":                   "client keys outlive the program",
	"logging/format.go":             "printed",
	"environment.go":                "told to scripts",
	"server/env.go":                 "told to scripts",
	"server/status.go":              "printed",
	"transport/socks.go":            "a deadline that has passed",
	"transport/tcp.go":              "a deadline that has passed",
	"daemontest/clock/step.go":      "makes such times",
	"history.go":                    "written to disk",
	"fleet/folder.go":               "written to disk",
	"fleet/page.go":                 "when sessions began, in records that other nodes read",
	"fleet/node/caller.go":          "a deadline that has passed",
	"fleet/pki/invite.go":           "invitations outlive the program",
	"journal/index/index.go":        "written to disk",
	"journal/sink/webhook.go":       "told to a service",
	"journal/writer.go":             "written to disk",
	"tls/handshake_client.go":       "tickets outlive the program",
	"tls/handshake_client_tls13.go": "tickets outlive the program",
	"tls/handshake_server.go":       "tickets outlive the program",
	"tls/handshake_server_tls13.go": "tickets outlive the program",
	"tls/ticket.go":                 "tickets outlive the program",
}

// Elapsed time is monotonic everywhere in the daemon.
func TestElapsedTimeIsMonotonic(t *testing.T) {
	used := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !wallClock[sel.Sel.Name] {
				return true
			}
			name := filepath.ToSlash(path)
			used[name] = true
			if wallTimes[name] == "" {
				t.Errorf("%s: %s takes the wall clock: elapsed time comes from time.Time.Sub", files.Position(call.Pos()), sel.Sel.Name)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range wallTimes {
		if !used[name] {
			t.Errorf("%s may use the wall clock and does not", name)
		}
	}
}
