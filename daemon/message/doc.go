// Package message holds what peers tell each other in words once TLS is up: peer info with its IV_PROTO bits, the options
// string, text messages, and lists of pushed options cut into messages and joined again. It does no I/O and
// imports only the standard library; both engines speak through it.
//
// Everything parsed here comes from a peer: parsers accept any bytes, bound what they keep, and replace what would harm a log
// or an environment.
package message
