#!/bin/sh
@D@/ev.sh up
ip addr add 172.27.232.1/21 dev "$1"
ip link set "$1" up mtu "$2"
