// Package daemontest holds what the tests of the engines need and nobody else: network namespaces, the stock daemon in
// them, and links that lose packets. Certificates are in daemontest/pki.
package daemontest
