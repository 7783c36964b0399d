package tls13

// must returns b. HKDF refuses output longer than 255 hashes, and TLS asks for less.
func must(b []byte, err error) []byte {
	if err != nil {
		panic("tls13: " + err.Error())
	}
	return b
}
