//go:build linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are all documents of the project, by their path from its root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/commands/*.md", "docs/decisions/*.md"} {
		files, err := filepath.Glob("../../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(f, "../../")] = block.ReplaceAllString(string(b), "")
		}
	}
	if len(all) < 100 {
		t.Fatalf("only %d pages found: the test looks in the wrong place", len(all))
	}
	return all
}

var (
	block   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noSlug  = regexp.MustCompile(`[^\pL\pN_ -]`)
)

// anchors are the headings of a page as links name them: GitHub's rule.
func anchors(text string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all[strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

// Every link within the documents leads to a file, and to a heading of it.
func TestLinksOfTheDocuments(t *testing.T) {
	all := pages(t)
	links := 0
	for from, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(m[1], "#")
			to := from
			if path != "" {
				to = filepath.Join(filepath.Dir(from), path)
			}
			if _, err := os.Stat(filepath.Join("../..", to)); err != nil {
				t.Errorf("%s: %s leads nowhere", from, m[1])
			} else if anchor != "" && !anchors(all[to])[anchor] {
				t.Errorf("%s: %s has no heading %q", from, to, anchor)
			}
		}
	}
	if links < 200 {
		t.Errorf("only %d links found", links)
	}
}

// The list of decisions has every page, by the title that the page has.
func TestTitlesOfDecisions(t *testing.T) {
	all := pages(t)
	listed := make(map[string]string) // title by page
	for _, m := range regexp.MustCompile(`(?m)^\| \[(\d{4})\]\((.*?)\) \| (.*) \|$`).FindAllStringSubmatch(all["docs/decisions/README.md"], -1) {
		if !strings.HasPrefix(m[2], m[1]+"-") {
			t.Errorf("the list of decisions names %s %s", m[2], m[1])
		}
		listed["docs/decisions/"+m[2]] = "# " + m[1] + " " + m[3]
	}
	for page, text := range all {
		if filepath.Dir(page) != "docs/decisions" || filepath.Base(page) == "README.md" {
			continue
		}
		if title, _, _ := strings.Cut(text, "\n"); title != listed[page] {
			t.Errorf("%s begins with %q, and the list has %q", page, title, listed[page])
		}
	}
}
