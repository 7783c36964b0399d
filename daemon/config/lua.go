package config

import (
	"slices"
	"strings"
	"time"
)

// LuaScript is a line "script FILE [WORD [VALUE]]…", an extension of ours.
type LuaScript struct {
	Path      string
	Args      []string      // arg TEXT, repeatable
	Allow     []string      // allow LIST: what the script may do beside the management port
	Read      []string      // read PATH, repeatable: a file or folder that file.read may open, like allow read=PATH
	Memory    int           // memory MIB; 0: the default
	Timeout   time.Duration // timeout SECONDS of a handler; 0: the default
	Burst     time.Duration // burst MILLISECONDS of processor time; 0: the default
	InProcess bool          // in-process: without a process of its own
}

// Permissions are the words that allow knows. read takes =PATH, write =FOLDER.
var Permissions = []string{"exec", "http", "env", "secret", "store", "read", "write"}

// luaScript reads a line. Words may be written as options, with dashes, and with their value behind "=".
func luaScript(p *parser, a []string) error {
	s := LuaScript{Path: a[0]}
	words := a[1:]
	value := func(word string) (string, error) {
		if len(words) == 0 {
			return "", errorf("script %s: %s needs a value", s.Path, word)
		}
		v := words[0]
		words = words[1:]
		return v, nil
	}
	for len(words) > 0 {
		word := strings.TrimPrefix(words[0], "--")
		words = words[1:]
		if name, v, ok := strings.Cut(word, "="); ok {
			word, words = name, append([]string{v}, words...)
		}
		if word == "in-process" {
			s.InProcess = true
			continue
		}
		v, err := value(word)
		if err != nil {
			return err
		}
		n := 0
		switch word {
		case "arg":
			s.Args = append(s.Args, v)
		case "read":
			s.Read = append(s.Read, v)
		case "allow":
			for permission := range strings.SplitSeq(v, ",") {
				name, folder, has := strings.Cut(permission, "=")
				if !slices.Contains(Permissions, name) || name != "store" && has != (name == "read" || name == "write") || has && folder == "" {
					return errorf("script %s: unknown permission '%s', want exec, http, env, secret, store, store=FILE, read=PATH, write=FOLDER", s.Path, permission)
				}
				s.Allow = append(s.Allow, permission)
			}
		case "memory":
			if s.Memory, err = integer(p, "script memory", v, 1, 1<<20); err != nil {
				return err
			}
		case "timeout":
			if n, err = integer(p, "script timeout", v, 1, 86400); err != nil {
				return err
			}
			s.Timeout = time.Duration(n) * time.Second
		case "burst":
			if n, err = integer(p, "script burst", v, 1, 60000); err != nil {
				return err
			}
			s.Burst = time.Duration(n) * time.Millisecond
		default:
			return errorf("script %s: unknown word '%s', want arg, read, allow, memory, timeout, burst or in-process", s.Path, word)
		}
	}
	p.o.LuaScripts = append(p.o.LuaScripts, s)
	return nil
}
