// Package transport moves OpenVPN packets over UDP and TCP.
//
// # Batches
//
// A Link receives and sends batches: one call to Recv fills a Batch with every packet of one peer that
// the kernel hands over at once (UDP receive offload, or all complete frames of a stream), one call to Send
// takes all packets for one peer (one segmented datagram where the kernel can, one write on a stream).
// Packets of a batch are slices of the batch's slab, may be decrypted in place, and stay valid until the
// next Recv with that batch. In front of the first packet are at least Headroom writable bytes.
//
// # Kinds
//
//	DialUDP    connected client socket (unconnected with Float), also through SOCKS5 UDP ASSOCIATE
//	ListenUDP  unconnected socket for many peers, optionally multihomed; ListenUDPGroup several on one port
//	DialTCP    client stream, also through an HTTP CONNECT or SOCKS5 proxy
//	ListenTCP  Accept gives one Link per client
//
// # Blocking and ownership
//
// Recv has one caller at a time; Send and Close may be called from any goroutine. Close wakes a blocked Recv,
// which then returns net.ErrClosed. A TCP link owns one writer goroutine, so that a peer that does not read
// fills that link's bounded queue and nothing else; Close waits for it.
//
// # Errors
//
// Errors of the socket itself are *SocketError and print the way the log wants them:
//
//	read UDPv4 [ECONNREFUSED]: Connection refused (fd=4,code=111)
//
// Transient tells which of them a receive loop should survive.
package transport
