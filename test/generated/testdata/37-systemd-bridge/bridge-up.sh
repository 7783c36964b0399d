#!/bin/sh
# br0 is there before systemd-networkd starts the tunnel; here it is made.
@D@/ev.sh bridge-up
ip link show br0 >/dev/null 2>&1 || ip link add br0 address 02:00:00:00:37:01 type bridge
ip addr replace 10.37.0.1/24 dev br0
ip link set br0 up
ip link set "$2" up promisc on mtu 1500 master br0
