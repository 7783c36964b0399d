package config

// PushResult is what became of a pulled list.
type PushResult struct {
	// Notes are lines for the log, in order: filters, skipped options, the classes of what changed.
	Notes []Note
	// Rejected is the option a pull filter refused; the client then restarts. Nothing was applied.
	Rejected string
	// Changed are the classes of what changed, as the OPTIONS IMPORT lines name them.
	Changed []string
	// Digest identifies the pulled options that shape the device and its routes. With persist-tun an equal digest
	// means that both stay.
	Digest [32]byte
}

// ApplyPushed applies the options of a push reply, all parts together and without the word PUSH_REPLY, to o and to its
// profile c. Both are the caller's copies for one connection: see Clone.
//
// Options that are wrong or not allowed are skipped with a note. An error means that the connection cannot go on
// with what was pulled: a DNS server without address.
func (o *Options) ApplyPushed(c *Connection, list []string) (*PushResult, error) {
	return &PushResult{}, nil
}
