#!/bin/sh
ip addr add 192.168.103.1/24 dev "$1"
ip link set "$1" up
