// Package pki makes throw-away certificate authorities, certificates and keys, for tests and for the demonstration. It is
// apart from daemontest so that a program can use it without the testing package.
package pki
