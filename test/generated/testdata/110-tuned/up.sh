#!/bin/sh
@D@/ev.sh up
ip addr add 10.110.0.1 peer 10.110.0.2 dev "$1"
ip link set "$1" up mtu "$2"
ip route add 10.110.0.0/24 via 10.110.0.2
