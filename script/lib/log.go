package lib

import (
	"context"
	"log/slog"
	"sort"

	lua "github.com/yuin/gopher-lua"
)

// Log is the module log: debug, info, warn and error, each with a message and an optional table of fields.
func Log(L *lua.LState, log *slog.Logger) *lua.LTable {
	at := func(level slog.Level) lua.LGFunction {
		return func(L *lua.LState) int {
			msg := L.ToStringMeta(L.CheckAny(1)).String()
			var attrs []slog.Attr
			if t := L.OptTable(2, nil); t != nil {
				t.ForEach(func(k, v lua.LValue) { attrs = append(attrs, slog.String(k.String(), v.String())) })
				sort.Slice(attrs, func(i, j int) bool { return attrs[i].Key < attrs[j].Key })
			}
			log.LogAttrs(context.Background(), level, msg, attrs...)
			return 0
		}
	}
	return L.SetFuncs(L.NewTable(), map[string]lua.LGFunction{
		"debug": at(slog.LevelDebug), "info": at(slog.LevelInfo), "warn": at(slog.LevelWarn), "error": at(slog.LevelError),
	})
}
