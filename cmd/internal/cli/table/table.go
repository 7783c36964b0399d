// Package table prints columns for people: as wide as they need on a pipe, within the width of a terminal.
package table

import (
	"io"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"github.com/dustin/go-humanize"
	"github.com/mattn/go-runewidth"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
)

// narrowest is the width that a column may be cut to before the last column goes.
const narrowest = 11

// Write prints columns padded by display width, two blanks between them. On a terminal that is too narrow columns go from the right,
// then cells are cut, with an ellipsis where something is missing.
func Write(e *env.Env, head []string, rows [][]string) error {
	text := Lines(head, rows, e.Width)
	_, err := io.WriteString(e.Out, text)
	return err
}

// Lines is the text of Write; width 0 is no limit.
func Lines(head []string, rows [][]string, width int) string {
	all := append([][]string{head}, rows...)
	widths := make([]int, len(head))
	for _, r := range all {
		for i := range r {
			r[i] = env.Clean(r[i])
			widths[i] = max(widths[i], runewidth.StringWidth(r[i]))
		}
	}
	columns := len(head)
	for width > 0 && columns > 2 && need(widths[:columns], narrowest) > width {
		columns--
	}
	t := table.New().Wrap(false).Border(lipgloss.Border{}).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderColumn(false).BorderHeader(false).Headers(head[:columns]...).
		StyleFunc(func(_, column int) lipgloss.Style {
			if column == columns-1 {
				return lipgloss.NewStyle()
			}
			return lipgloss.NewStyle().PaddingRight(2)
		})
	for _, r := range rows {
		t.Row(r[:columns]...)
	}
	if width > 0 && need(widths[:columns], 1<<30) > width {
		t.Width(width)
	}
	var b strings.Builder
	for l := range strings.SplitSeq(t.String(), "\n") {
		b.WriteString(strings.TrimRight(l, " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// need is the width of columns that are cut to most.
func need(widths []int, most int) int {
	n := 2 * (len(widths) - 1)
	for _, w := range widths {
		n += min(w, most)
	}
	return n
}

// Bytes writes a count of bytes for people.
func Bytes(n uint64) string { return humanize.Bytes(n) }

// Rate writes bytes a second for people.
func Rate(perSecond float64) string { return humanize.Bytes(uint64(max(0, perSecond))) + "/s" }

// Or is s, or a dash for nothing.
func Or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Local is a time for people, a dash when it is not known.
func Local(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// Since is how long ago t was, in its two largest units: 3d4h, 5m12s.
func Since(t, now time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "-"
	}
	d := max(0, now.Sub(t)).Truncate(time.Second)
	day := 24 * time.Hour
	switch {
	case d >= day:
		return strconv.Itoa(int(d/day)) + "d" + strconv.Itoa(int(d%day/time.Hour)) + "h"
	case d >= time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h" + strconv.Itoa(int(d%time.Hour/time.Minute)) + "m"
	}
	return d.String()
}
