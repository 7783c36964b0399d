package script

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/record"
	"github.com/moongate-vpn/moongate/script"
)

func newTest(e *env.Env) *cobra.Command {
	var junit string
	cmd := &cobra.Command{
		Use: "test FILE_test.lua…", Short: "Run the tests of Lua scripts",
		Long:    "Run the tests of Lua scripts against a daemon, a clock, programs and secrets that the test plays (docs/lua.md). Exit code 1 if one fails.",
		Example: "  moongate test admit_test.lua\n  moongate test --junit report.xml *_test.lua", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []script.TestResult
			var broken error
			for _, file := range args {
				results, err := script.Test(cmd.Context(), file, readRecording)
				if err == nil && len(results) == 0 {
					err = fmt.Errorf("%s: it has no test", file)
				}
				if err != nil {
					results = append(results, script.TestResult{File: file, Name: "the file", Failure: err.Error()})
				}
				for _, r := range results {
					if r.Failure == "" {
						fmt.Fprintf(e.Out, "ok    %s: %s (%v)\n", r.File, r.Name, r.Took.Round(time.Millisecond))
						continue
					}
					fmt.Fprintf(e.Out, "FAIL  %s: %s\n      %s\n", r.File, r.Name, strings.ReplaceAll(r.Failure, "\n", "\n      "))
				}
				all = append(all, results...)
			}
			failed := 0
			for _, r := range all {
				if r.Failure != "" {
					failed++
				}
			}
			if junit != "" {
				if err := writeJUnit(junit, all); err != nil {
					return err
				}
			}
			if failed > 0 {
				broken = fmt.Errorf("%d of %d tests failed", failed, len(all))
			}
			return broken
		},
	}
	cmd.Flags().StringVar(&junit, "junit", "", "write a report in JUnit's form to `FILE`")
	env.Mark(env.NoDaemon, "yes", cmd)
	return cmd
}

func readRecording(path string) ([]script.RecordedLine, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return record.FromDaemon(f)
}

// JUnit's form, as far as readers of it agree.
type suites struct {
	XMLName xml.Name `xml:"testsuites"`
	Suites  []suite  `xml:"testsuite"`
}

type suite struct {
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Time    string   `xml:"time,attr"`
	Failure *failure `xml:"failure,omitempty"`
}

type failure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func writeJUnit(path string, all []script.TestResult) error {
	var doc suites
	for _, r := range all {
		if n := len(doc.Suites); n == 0 || doc.Suites[n-1].Name != r.File {
			doc.Suites = append(doc.Suites, suite{Name: r.File})
		}
		s := &doc.Suites[len(doc.Suites)-1]
		c := testCase{Name: r.Name, Class: r.File, Time: fmt.Sprintf("%.3f", r.Took.Seconds())}
		if r.Failure != "" {
			first, _, _ := strings.Cut(r.Failure, "\n")
			c.Failure = &failure{first, r.Failure}
			s.Failures++
		}
		s.Tests++
		s.Cases = append(s.Cases, c)
	}
	b, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte(xml.Header), append(b, '\n')...), 0o644) //nolint:gosec // a report
}
