// Package config reads OpenVPN's options: command lines, files, inline blocks, connection profiles, pushed lists and
// per-client files, and turns them into one typed [Options].
//
// # From text to Options
//
//	argv ─► [Parse] ─► option table: name, parameters, where allowed, apply ─► macros ─► derived values
//	  │        ▲                                                                            │
//	  └ file ──┘ (lexer, blocks, includes)                        profiles ◄─ cipher rules ◄┘
//	                                                                 └─► checks ─► file checks ─► Options
//
// A server's list goes through [Options.ApplyPushed], the file of one client through [Options.ParseClientConfig]; both
// use the same table with another context, and skip what is wrong instead of failing. What a server changes later goes through
// [Options.UpdatePushed], which fails as a whole.
//
// # Errors
//
// Every error is an [*Error] whose text is the line scripts know from the stock daemon. Numbers are read strictly:
// rubbish is an error, never zero.
package config
