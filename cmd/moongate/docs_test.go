//go:build linux

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
	"github.com/moongate-vpn/moongate/script"
)

// fence is a block of a document.
type fence struct {
	file string
	line int
	info string
	text string
}

// documents are the README and what stands in docs.
func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(files, "../../README.md")
}

// fences are the blocks of all documents.
func fences(t *testing.T) []fence {
	t.Helper()
	var all []fence
	for _, f := range documents(t) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var open *fence
		indent := ""
		for i, l := range strings.Split(string(b), "\n") {
			trimmed := strings.TrimLeft(l, " ")
			switch {
			case strings.HasPrefix(trimmed, "```") && open == nil:
				indent = l[:len(l)-len(trimmed)]
				open = &fence{file: filepath.Base(f), line: i + 1, info: strings.TrimPrefix(trimmed, "```")}
			case strings.HasPrefix(trimmed, "```"):
				all = append(all, *open)
				open = nil
			case open != nil:
				open.text += strings.TrimPrefix(l, indent) + "\n"
			}
		}
		if open != nil {
			t.Errorf("%s:%d: a block without an end", f, open.line)
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d blocks found: the test looks in the wrong place", len(all))
	}
	return all
}

// commandLine finds the program's command lines in a line of shell.
var commandLine = regexp.MustCompile("(?:^|[|;&(`$] *|\\bif |\\b[A-Z_]+=[^ ]+ )(?:bin/)?moongate ((?:[^|;&)`#<>\"']|\"[^\"]*\"|'[^']*')+)")

// Every command line of the documents and of the help's examples exists, with its flags and its number of arguments.
func TestCommandLinesOfTheDocuments(t *testing.T) {
	var lines []string
	for _, f := range fences(t) {
		for _, l := range strings.Split(f.text, "\n") {
			if f.info == "text" || f.info == "json" || f.info == "lua" {
				continue
			}
			for _, m := range commandLine.FindAllStringSubmatch(strings.TrimPrefix(strings.TrimSpace(l), "$ "), -1) {
				lines = append(lines, fmt.Sprintf("%s:%d\x00%s", f.file, f.line, m[1]))
			}
		}
	}
	root := cli.NewRoot(&env.Env{Getenv: os.Getenv}, "x")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, l := range strings.Split(c.Example, "\n") {
			for _, m := range commandLine.FindAllStringSubmatch(strings.TrimSpace(l), -1) {
				lines = append(lines, "help of "+c.Name()+"\x00"+m[1])
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if len(lines) < 80 {
		t.Fatalf("only %d command lines found", len(lines))
	}
	for _, l := range lines {
		where, text, _ := strings.Cut(l, "\x00")
		out, err := exec.Command("sh", "-c", "set -f; for w in "+text+"; do printf '%s\\0' \"$w\"; done").Output()
		if err != nil {
			t.Errorf("%s: %q: %v", where, text, err)
			continue
		}
		words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if err := fits(words); err != nil {
			t.Errorf("%s: moongate %s: %v", where, text, err)
		}
	}
}

// inText finds what the text of a page says about a command.
var inText = regexp.MustCompile("`moongate ([^`|;&<>…]+)`")

// Every command that the text of a page names exists, with the flags that stand behind it.
func TestCommandsInTheText(t *testing.T) {
	root := cli.NewRoot(&env.Env{Getenv: os.Getenv}, "x")
	root.InitDefaultCompletionCmd()
	root.InitDefaultVersionFlag()
	root.InitDefaultHelpFlag()
	named := 0
	for page, text := range pages(t) {
		for _, m := range inText.FindAllStringSubmatch(text, -1) {
			named++
			cmd, rest, err := root.Find(strings.Fields(m[1]))
			if err != nil {
				t.Errorf("%s: %s: %v", page, m[0], err)
				continue
			}
			cmd.InitDefaultHelpFlag()
			for _, word := range rest {
				name, isFlag := strings.CutPrefix(word, "--")
				name, _, _ = strings.Cut(name, "=")
				if isFlag && name != "" && !cmd.DisableFlagParsing && cmd.Flag(name) == nil && root.PersistentFlags().Lookup(name) == nil {
					t.Errorf("%s: %s: %s has no flag --%s", page, m[0], cmd.CommandPath(), name)
				}
			}
		}
	}
	if named < 60 {
		t.Errorf("only %d commands named", named)
	}
}

// fits parses a command line without running it.
func fits(words []string) error {
	root := cli.NewRoot(&env.Env{Getenv: os.Getenv}, "x")
	root.InitDefaultCompletionCmd()
	root.InitDefaultVersionFlag()
	root.InitDefaultHelpFlag()
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if cmd == root && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return fmt.Errorf("no such command")
	}
	if cmd.DisableFlagParsing {
		return nil
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if cmd.Args != nil && cmd != root {
		return cmd.Args(cmd, cmd.Flags().Args())
	}
	return nil
}

// Every block marked sh runs, in the order of its document and in one folder; every block marked lua compiles.
func TestBlocksOfTheDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the documents")
	}
	byFile := make(map[string][]fence)
	for _, f := range fences(t) {
		if f.file != "moving.md" { // test/generated plays it, on what the installers write
			byFile[f.file] = append(byFile[f.file], f)
		}
	}
	for file, blocks := range byFile {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, b := range blocks {
				switch b.info {
				case "sh":
					if out, err := w.run(b.text); err != nil {
						t.Errorf("%s:%d: %v\n%s\n%s", b.file, b.line, err, b.text, out)
					}
				case "lua":
					p := filepath.Join(w.dir, fmt.Sprintf("block%d.lua", b.line))
					if err := os.WriteFile(p, []byte(b.text), 0o600); err != nil {
						t.Fatal(err)
					}
					if err := script.Check(p); err != nil {
						t.Errorf("%s:%d: %v", b.file, b.line, err)
					}
				}
			}
		})
	}
}

// world is what the documents talk about: the targets home, office and vault, /run/vpn.sock, and moongate in the path.
type world struct {
	dir, bin, vpn string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "mg") // the path of t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{dir: filepath.Join(dir, "work"), bin: filepath.Join(dir, "bin"), vpn: filepath.Join(dir, "vpn.sock")}
	start := func(mode string, a server.Access, lines ...string) string {
		d := mgmttest.NewDaemon(t, server.Config{})
		for _, l := range append([]string{"mode " + mode, "state CONNECTED SUCCESS 10.8.0.1"}, lines...) {
			if err := d.Do(l); err != nil {
				t.Fatal(err)
			}
		}
		if mode == "client" && a.Passwords == nil {
			if ln, err := server.ListenUnix(w.vpn); err == nil {
				ctx, cancel := context.WithCancel(context.Background())
				t.Cleanup(cancel)
				go d.Server.Serve(ctx, ln, a)
			}
		}
		return d.ListenTCP(a)
	}
	home := start("client", server.Access{})
	office := start("server", server.Access{}, "peer 0 1 laptop 192.0.2.7:40000", "peer 1 1 lab-one 192.0.2.8:40000", "peer 2 1 lab-two 192.0.2.9:40000")
	vault := start("client", server.Access{Passwords: []server.Password{{Text: "moonlight"}}})
	config := filepath.Join(dir, ".config", "moongate")
	for _, d := range []string{w.dir, w.bin, config} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		filepath.Join(config, "targets.toml"): fmt.Sprintf("[targets.home]\naddress = %q\n[targets.office]\naddress = %q\n[targets.vault]\naddress = %q\npassword = \"file:%s/pw\"\n", home, office, vault, dir),
		filepath.Join(dir, "pw"):              "moonlight\n",
		filepath.Join(w.bin, "moongate"):      "#!/bin/sh\nMOONGATE_TEST_MAIN=1 exec " + os.Args[0] + " \"$@\"\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// run runs a block as a script of its own.
func (w *world) run(text string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", strings.ReplaceAll(text, "/run/vpn.sock", w.vpn))
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "PATH="+w.bin+":"+os.Getenv("PATH"), "HOME="+filepath.Dir(w.dir), "XDG_CONFIG_HOME=", "MOONGATE_RUN_DIR=/nowhere", "MOONGATE_NO_ASK=1", "MOONGATE_ADDR=")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

var updateDocs = flag.Bool("update-docs", false, "rewrite docs/commands")

// docs/commands has a page for each command, from its help.
func TestCommandPages(t *testing.T) {
	root := cli.NewRoot(&env.Env{Getenv: func(string) string { return "" }}, "x")
	want := make(map[string]string)
	var index strings.Builder
	index.WriteString("# Commands\n\nGenerated from the help of the commands (go test ./cmd/moongate -run CommandPages -update-docs).\n\n| command | does |\n|---|---|\n")
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		fmt.Fprintf(&index, "| [%s](%s.md) | %s |\n", c.Name(), c.Name(), c.Short)
		want[c.Name()+".md"] = page(c)
	}
	want["README.md"] = index.String()
	const dir = "../../docs/commands"
	for name, text := range want {
		if *updateDocs {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(have) != text {
			t.Errorf("docs/commands/%s is not what the help says: go test ./cmd/moongate -run CommandPages -update-docs (%v)", name, err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.md"))
	for _, f := range files {
		if _, ok := want[filepath.Base(f)]; !ok {
			t.Errorf("%s belongs to no command", f)
		}
	}
}

// page is a command with its subcommands.
func page(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# moongate %s\n\n%s.\n\n```text\n%s\n```\n\n%s\n", c.Name(), c.Short, c.UseLine(), c.Long)
	if c.Example != "" {
		fmt.Fprintf(&b, "\n## Examples\n\n```\n%s\n```\n", strings.ReplaceAll("  "+strings.TrimSpace(c.Example), "\n  ", "\n")[2:])
	}
	if f := c.NonInheritedFlags(); f.HasAvailableFlags() {
		fmt.Fprintf(&b, "\n## Flags\n\n```text\n%s```\n", f.FlagUsages())
	}
	for _, sub := range c.Commands() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", sub.Name(), sub.Long)
		if sub.Example != "" {
			fmt.Fprintf(&b, "\n```\n%s\n```\n", strings.ReplaceAll("  "+strings.TrimSpace(sub.Example), "\n  ", "\n")[2:])
		}
	}
	return b.String()
}
