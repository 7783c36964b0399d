package transport

// TOSOf is the type of service of an IP packet, its traffic class with IPv6, 0 for anything else.
func TOSOf(packet []byte) uint8 {
	if len(packet) < 2 {
		return 0
	}
	switch packet[0] >> 4 {
	case 4:
		return packet[1]
	case 6:
		return packet[0]<<4 | packet[1]>>4
	}
	return 0
}

// TOSRun is how many of the packets at the front have the same type of service, and which.
func TOSRun(packets [][]byte) (n int, tos uint8) {
	tos = TOSOf(packets[0])
	for n = 1; n < len(packets) && TOSOf(packets[n]) == tos; n++ {
	}
	return n, tos
}
