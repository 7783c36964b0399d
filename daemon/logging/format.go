package logging

import (
	"fmt"
	"strconv"
	"time"
)

// appendLine adds the line as the configured form wants it. c.mu is held.
func (c *core) appendLine(b []byte, now time.Time, lv Level, text []byte) []byte {
	switch {
	case c.cfg.MachineReadableOutput:
		b = strconv.AppendInt(b, now.Unix(), 10)
		b = fmt.Appendf(b, ".%06d ", now.Nanosecond()/1000)
		b = append(strconv.AppendUint(b, uint64(lv), 16), ' ')
	case !c.cfg.SuppressTimestamps:
		b = now.AppendFormat(b, "2006-01-02 15:04:05 ")
		if c.verb.Load() >= 4 {
			b = append(b, "us="...)
			b = append(strconv.AppendInt(b, int64(now.Nanosecond()/1000), 10), ' ')
		}
	}
	return append(append(b, text...), '\n')
}

// pass applies mute: the first n lines of a category in a row pass, then a note, then nothing until another
// category comes. c.mu is held.
func (c *core) pass(lv Level) bool {
	limit := int(c.mute.Load())
	if limit == 0 {
		c.last.count = 0
		return true
	}
	if cat := lv.category(); cat == 0 || cat != c.last.category {
		if n := c.last.count - limit; n > 0 {
			c.line(Info, fmt.Appendf(nil, "%d variation(s) on previous %d message(s) suppressed by --mute", n, limit))
		}
		c.last.category, c.last.count = cat, 1
		return true
	}
	c.last.count++
	if c.last.count == limit+1 {
		c.line(Info, []byte("NOTE: --mute triggered..."))
	}
	return c.last.count <= limit
}
