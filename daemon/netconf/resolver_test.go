package netconf

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Daemons put their layers on top of each other and leave in any order; what others wrote is never lost.
func TestResolverLayers(t *testing.T) {
	for _, file := range []string{"", "nameserver 1.1.1.1\n", "# c\n\nnameserver 1.1.1.1\nsearch x y\n", layerLine + "odd\n"} {
		for _, order := range [][]string{{"a"}, {"a", "b"}, {"b", "a"}, {"c", "a", "b"}, {"a", "c", "b"}, {"b", "x", "c", "a"}} {
			text := file
			for _, id := range []string{"a", "b", "c"} {
				text = addLayer(text, id, "nameserver 10.0.0."+id+"\n")
				if !strings.HasPrefix(text, layerBegin+id+"\n") || strings.Count(text, "\nnameserver ") != 1 {
					t.Fatalf("the layer of %s is not alone in force:\n%s", id, text)
				}
			}
			for _, id := range append(order, "a", "b", "c") {
				text = removeLayer(text, id)
				if removeLayer(text, id) != text {
					t.Errorf("%s is there twice", id)
				}
			}
			if text != file {
				t.Errorf("%q became %q by %q", file, text, order)
			}
		}
		added := "# before\n" + addLayer(file, "a", "nameserver 10.0.0.1\n") + "options edns0\n"
		if got := removeLayer(added, "a"); got != "# before\n"+file+"options edns0\n" {
			t.Errorf("lines of others around the layer: %q", got)
		}
	}
	cut := addLayer("nameserver 1.1.1.1\n", "a", "nameserver 10.0.0.1\n")
	for n := range cut {
		if got := removeLayer(cut[:n], "a"); got != cut[:n] && got != "nameserver 1.1.1.1\n" {
			t.Fatalf("a file cut at %d becomes %q", n, got)
		}
	}
}

func FuzzRemoveLayer(f *testing.F) {
	f.Add("nameserver 1.1.1.1\n", "a")
	f.Add(addLayer("x\n", "a", "y\n"), "a")
	f.Add(addLayer(addLayer("x\n", "a", "y\n"), "b", "z\n")+"tail", "a")
	f.Fuzz(func(t *testing.T, file, id string) {
		if len(removeLayer(file, id)) > len(file) {
			t.Error("longer without a layer")
		}
		if strings.ContainsAny(id, "\n") || file != "" && !strings.HasSuffix(file, "\n") || strings.Contains(file, layerBegin) {
			return
		}
		if got := removeLayer(addLayer(file, id, "nameserver 10.0.0.1\n"), id); got != file {
			t.Errorf("%q becomes %q", file, got)
		}
	})
}

// Each kind of host is told in its way, and told again when that is over.
func TestResolverWays(t *testing.T) {
	plain := Resolvers{Dev: "tun0", Servers: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), 0), netip.MustParseAddrPort("[fd00::1]:53")}, Search: []string{"a.example", "b.example"}}
	split := Resolvers{Dev: "tun0", Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:5353")}, SNI: "x.example", Domains: []string{"corp.example"}, DNSSEC: "optional", TLS: true}
	for _, tt := range []struct {
		name, programs string
		resolved       bool
		r              Resolvers
		calls, file    string
		err            string
	}{
		{"resolved", "resolvectl resolvconf", true, plain, "resolvectl dns tun0 -- 10.0.0.1 [fd00::1]:53|resolvectl domain tun0 -- a.example b.example ~.|resolvectl revert tun0", "", ""},
		{
			"split", "resolvectl", true, split,
			"resolvectl dns tun0 -- 10.0.0.1:5353#x.example|resolvectl domain tun0 -- ~corp.example|resolvectl dnssec tun0 allow-downgrade|resolvectl dnsovertls tun0 yes|resolvectl revert tun0", "", "",
		},
		{"resolvectl without its daemon", "resolvectl", false, plain, "", "nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.example b.example\n", ""},
		{"resolvconf", "resolvconf", false, plain, "resolvconf -a tun0.openvpn <nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.example b.example\n>|resolvconf -d tun0.openvpn", "", ""},
		{"file", "", false, plain, "", "nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.example b.example\n", ""},
		{"file without TLS", "", false, split, "", "", "need systemd-resolved"},
		{"fails", "resolvectl fail", true, plain, "resolvectl dns tun0 -- 10.0.0.1 [fd00::1]:53|resolvectl revert tun0", "", "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, notes := t.TempDir(), t.TempDir()
			_ = os.Chmod(notes, 0o700)
			conf := filepath.Join(root, "etc/resolv.conf")
			_ = os.MkdirAll(filepath.Dir(conf), 0o755)
			if tt.resolved {
				_ = os.MkdirAll(filepath.Join(root, "run/systemd/resolve"), 0o755)
			}
			const before = "nameserver 1.1.1.1\n"
			if err := os.WriteFile(conf, []byte(before), 0o640); err != nil {
				t.Fatal(err)
			}
			var calls []string
			h := &ResolverHost{
				Root: root, Look: func(p string) bool { return strings.Contains(tt.programs, p) },
				Run: func(_ context.Context, stdin, program string, args ...string) error {
					call := program + " " + strings.Join(args, " ")
					if stdin != "" {
						call += " <" + stdin + ">"
					}
					calls = append(calls, call)
					if strings.Contains(tt.programs, "fail") && args[0] == "dns" {
						return errors.New("refused")
					}
					return nil
				},
			}
			n, err := OpenNotes(notes, nil)
			if err != nil {
				t.Fatal(err)
			}
			j := NewJournal(nil, n, nil)
			_, err = j.SetResolvers(t.Context(), h, tt.r)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			during, _ := os.ReadFile(conf)
			if tt.file != "" && !strings.Contains(string(during), "\n"+tt.file) || tt.file == "" && string(during) != before {
				t.Errorf("the file during the tunnel:\n%s", during)
			}
			n.rewrite(nil) // as when routes go: the note about resolvers stays
			if text, _ := os.ReadFile(n.path); !strings.Contains(string(text), `"resolver":{"way"`) {
				t.Errorf("not noted: %s", text)
			}
			if err := j.UndoResolvers(t.Context(), h); err != nil {
				t.Error(err)
			}
			after, _ := os.ReadFile(conf)
			if info, _ := os.Stat(conf); string(after) != before || info.Mode().Perm() != 0o640 {
				t.Errorf("the file afterwards, %v:\n%s", info.Mode(), after)
			}
			if got := strings.Join(calls, "|"); got != tt.calls {
				t.Errorf("calls\n%s\nwant\n%s", got, tt.calls)
			}
			n.Close()
			if left, _ := os.ReadDir(notes); len(left) > 0 {
				t.Errorf("notes are left: %v", left)
			}
		})
	}
}

// A daemon that was killed leaves its layer to the next start. A link stays a link.
func TestRecoverRestoresResolvers(t *testing.T) {
	root, notes := t.TempDir(), t.TempDir()
	_ = os.Chmod(notes, 0o700)
	target, conf := filepath.Join(root, "target"), filepath.Join(root, "etc/resolv.conf")
	_ = os.MkdirAll(filepath.Dir(conf), 0o755)
	if err := errors.Join(os.WriteFile(target, []byte("nameserver 1.1.1.1\n"), 0o644), os.Symlink("../target", conf)); err != nil {
		t.Fatal(err)
	}
	n, err := OpenNotes(notes, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := NewJournal(nil, n, nil)
	h := &ResolverHost{Root: root, Look: func(string) bool { return false }}
	if _, err := j.SetResolvers(t.Context(), h, Resolvers{Dev: "tun0", Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53")}}); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(n.path)
	n.names = ResolverOp{}
	n.Close()
	dead := strings.Replace(string(text), `"start":"`, `"start":"1`, 1)
	_ = os.Mkdir(notes, 0o700) // it went with the last notes
	if err := os.WriteFile(filepath.Join(notes, "1.routes"), []byte(dead), 0o600); err != nil {
		t.Fatal(err)
	}
	Recover(nil, notes, nil)
	got, _ := os.ReadFile(target)
	if _, err := os.Readlink(conf); string(got) != "nameserver 1.1.1.1\n" || err != nil {
		t.Errorf("%v\n%s", err, got)
	}
}
