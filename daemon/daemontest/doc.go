// Package daemontest holds what the tests of the engines need and nobody else: a throw-away public key
// infrastructure, network namespaces, and links that lose packets.
package daemontest
