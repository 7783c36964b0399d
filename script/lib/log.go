package lib

import (
	"context"
	"log/slog"
	"sort"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/script/sandbox"
)

// Bounds of what one call of log writes.
const (
	maxLogText   = 16 << 10 // bytes of the message, and of a field
	maxLogFields = 32
)

// Log is the module log: debug, info, warn and error, each with a message and an optional table of fields. clip hides secrets.
func Log(L *lua.LState, log *slog.Logger, clip Clipper) *lua.LTable {
	at := func(level slog.Level) lua.LGFunction {
		return func(L *lua.LState) int {
			msg := Show(L, L.CheckAny(1), maxLogText, clip)
			var attrs []slog.Attr
			if t := L.OptTable(2, nil); t != nil {
				for k, v := t.Next(lua.LNil); k != lua.LNil && len(attrs) < maxLogFields; k, v = t.Next(k) {
					attrs = append(attrs, slog.String(clip(k.String(), maxShort), Show(L, v, maxLogText, clip)))
				}
				sort.Slice(attrs, func(i, j int) bool { return attrs[i].Key < attrs[j].Key })
			}
			sandbox.Spend(L, len(msg))
			log.LogAttrs(context.Background(), level, msg, attrs...)
			return 0
		}
	}
	return L.SetFuncs(L.NewTable(), map[string]lua.LGFunction{
		"debug": at(slog.LevelDebug), "info": at(slog.LevelInfo), "warn": at(slog.LevelWarn), "error": at(slog.LevelError),
	})
}
