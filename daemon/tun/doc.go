// Package tun opens TUN and TAP devices behind one batched interface.
//
// # Back ends
//
//	offload  Linux, TUN: packets with a vnet header, so that one call moves a whole batch of TCP or UDP packets
//	plain    water: TUN and TAP, one packet a call; also creates and removes persistent devices
//	null     no device: reads block until Close, writes vanish (option "dev null")
//	tuntest  (its own package) a device in memory for tests
//
// Open chooses: offload for TUN unless DisableOffload is set, the environment variable MOONGATE_DISABLE_OFFLOAD is not
// empty or the kernel refuses; plain otherwise.
//
// # Buffers
//
// Every packet handed to Read or Write has Offset bytes of head room in its buffer, which back ends may overwrite.
// Read fills bufs[i][offset:offset+sizes[i]]; Write takes the packet bufs[i][offset:]. A back end never touches bytes
// past the end of a written packet, whatever the capacity of the slice, so packets may be slices of one slab.
//
// # Concurrency
//
// One goroutine reads; any number may write. Close wakes a blocked Read, which then returns os.ErrClosed.
package tun
