#!/bin/sh
# NetworkManager's helper tells it the addresses by D-Bus; NetworkManager sets them.
@D@/ev.sh nm-up
ip link set "$dev" up mtu "$tun_mtu"
ip addr replace "$ifconfig_local/24" dev "$dev"
ip -6 addr replace "$ifconfig_ipv6_local/$ifconfig_ipv6_netbits" dev "$dev"
ip route replace "$route_network_1/24" dev "$dev" metric "$route_metric_1"
exit 0
