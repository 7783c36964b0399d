// Package test holds what spans rooms: the arrows between them, and the tests against the stock daemon.
package test
