// Package secret fetches secrets from where they are kept. One syntax serves commands, the daemon's option files and scripts:
//
//	env:NAME                 an environment variable
//	file:PATH                the first line of a file
//	cmd:PROGRAM ARGS…        the first line that a program prints; words are split by mgmt/lexer, no shell is involved
//	pass:NAME                the first line of an entry of the password store pass(1)
//	keyring:SERVICE/ACCOUNT  the Secret Service of the desktop session, or the system's own store
//	systemd:NAME             a credential that systemd handed to the service
//	totp:REFERENCE           the one-time code (RFC 6238) of the key, base32 or an otpauth:// address, kept at REFERENCE
//
// A code is given out once: the time step of the last code of each key is noted in a folder, for all processes of a user, and a
// second request waits for the next step.
//
// No error and no text of this package holds a secret.
package secret
