// Package fips140tls stands in for crypto/tls/internal/fips140tls.
package fips140tls

import "crypto/fips140"

// Required reports whether only settings that FIPS 140-3 approves may be used.
func Required() bool { return fips140.Enabled() }
