#!/bin/sh
ip addr add 10.91.0.77/24 dev "$1"
ip link set "$1" up
@D@/ev.sh up
