// Package lib holds what scripts see: the event value and the modules json, base64, otp, log and file.
//
// Modules follow one error rule: an expected failure returns nil and a text, so that it works with assert; misuse (a wrong
// argument type, an unknown option) raises an error with the caller's line. Every function is declared for the
// language server in script/meta.
package lib
