#!/bin/sh
# netifd sets addresses and routes from what the handler tells it.
@D@/ev.sh up
ip link set "$dev" up mtu "$tun_mtu"
ip addr add "$ifconfig_local/24" dev "$dev"
ip -6 addr add "$ifconfig_ipv6_local/$ifconfig_ipv6_netbits" dev "$dev"
ip route add "$route_network_1/24" via "$route_gateway_1"
exit 0
