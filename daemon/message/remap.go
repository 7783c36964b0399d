package message

// Remap replaces the control characters of a name that a peer sent by '_', so that it is safe in logs and
// environments.
//
// Rule: docs/protocol.md#85-character-remapping-of-names.
func Remap(s string) string {
	control := func(c byte) bool { return c < ' ' || c == 0x7f }
	for i := range len(s) {
		if control(s[i]) {
			b := []byte(s)
			for k := range b {
				if control(b[k]) {
					b[k] = '_'
				}
			}
			return string(b)
		}
	}
	return s
}
