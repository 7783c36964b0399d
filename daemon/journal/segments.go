package journal

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Segment is one file of the journal. A line without a newline at its end was cut off by a crash and does not count.
type Segment struct {
	Number int64
	Info   fs.FileInfo
}

const prefix, suffix = "journal-", ".jsonl"

// SegmentName is the file name of a segment.
func SegmentName(n int64) string { return fmt.Sprintf("%s%010d%s", prefix, n, suffix) }

// Segments lists the segments of a directory, oldest first.
func Segments(dir fs.FS) ([]Segment, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	var list []Segment
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), prefix)
		if name, ok2 := strings.CutSuffix(name, suffix); ok && ok2 {
			n, err := strconv.ParseInt(name, 10, 64)
			info, err2 := e.Info()
			if err == nil && err2 == nil && info.Mode().IsRegular() && SegmentName(n) == e.Name() {
				list = append(list, Segment{n, info})
			}
		}
	}
	slices.SortFunc(list, func(a, b Segment) int { return int(a.Number - b.Number) })
	return list, nil
}
