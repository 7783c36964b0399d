// Package daemontest holds what the tests of the engines share: network namespaces, the stock daemon in them, links that
// lose packets, and keys, addresses and logs for engines in one process. Certificates are in daemontest/pki.
package daemontest
