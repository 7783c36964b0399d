// Package wire is the line protocol of the management interface in both directions, as bytes: no connections, no
// goroutines, no clocks.
//
//	client ──► daemon   lines end in LF; [Input] filters bytes and limits lines
//	daemon ──► client   lines end in CR LF; [Output] cuts them, and finds the password question, which has no end
//
// [Assembler] makes notifications of lines that start with '>', blocks of CLIENT and UPDOWN included; each kind has a type
// with Append and a Parse function here, so that both ends agree.
//
// Decoders take any split of their stream, bytes one at a time included, and keep no slice that they are given.
package wire
