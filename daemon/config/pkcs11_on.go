//go:build pkcs11

package config

// pkcs11Built tells whether the options of smart cards are accepted.
const pkcs11Built = true
