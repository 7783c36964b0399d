//go:build linux

package generated

import "regexp"

// difference is where a pairing with our daemon may differ from the stock pair, and why.
type difference struct {
	setup, pairing, key string // regular expressions
	reason              string
}

var differences = []difference{
	{".*", ".*-ours", "server env .*: IV_PROTO", "our client announces more: epoch keys, the later dns format and pushed updates, which 2.6 does not know"},
	{".*", ".*-ours", "server env .*: IV_SSL", "our TLS library is another one"},
	{".*", "ours-.*", "client env .*: IV_PROTO", "our peer between sites announces epoch keys"},
	{".*", ".*-ours", "server env .*: IV_(LZ4|LZ4v2|LZO|LZO_STUB)", "our client compresses nothing: it announces the framings only"},
	{".*", "ours-.*", "server env .*-delete: .*", "stock gives learn-address no variables with an address that goes, ours those of its client"},
	{"72-.*", "ours-.*", "server says Note: Treating option .*", "stock says it while it reads the file, before it comes to verb 0"},
	{"(140|163)-.*", "ours-.*", "server env ev.sh-(crypt)?v2-verify: .*", "stock gives this script the metadata alone, ours what it knows of itself as well"},
	{"135-.*", ".*", ".* env .*: X509_0_CN_[12]", "stock looks three times at a certificate that no authority stands for"},
	{"114-.*", "ours-.*", "server status", "stock counts what compression saved, ours compresses nothing"},
	{".*", ".*", ".* says WARNING: Compression for sending and receiving .*", "ours compresses nothing that it sends"},
	{"(161|176)-.*", ".*-ours", "client says PUSH: Received control message: .*auth-token-user.*", "ours keeps the name for a token out of the log"},
	{"161-.*", "ours-.*", "server env port: script_type", "ours does not tell the port which script of a client ran last"},
	{"157-.*", ".*-ours", "client says WARNING: tls-cert-profile insecure: .*", "stock lets forgeries pass in silence"},
	{"175-.*", "ours-.*", "server says MULTI_sva: WARNING: if --ifconfig-push .*", "with ours the client keeps its IPv6 address of the pool"},
	{"(25|30|131|133)-.*", ".*", "client says (OPTIONS IMPORT|PUSH): .*", "stock's mute takes these lines for variations of one another, ours shows them"},
	{".*", ".*", ".* says NOTICE: --prng option ignored .*", "the random numbers are the system's, not those of OpenSSL"},
	{".*", ".*", ".* says WARNING: OpenSSL 3.0\\+ builds do not support specifying an ECDH curve .*", "our TLS library is another one"},
}

func allowed(setup string, p pairing, key string) *difference {
	for i := range differences {
		d := &differences[i]
		if match(d.setup, setup) && match(d.pairing, p.String()) && match(d.key, key) {
			return d
		}
	}
	return nil
}

func match(pattern, s string) bool { return regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(s) }
