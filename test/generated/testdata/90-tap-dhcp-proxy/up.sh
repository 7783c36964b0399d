#!/bin/sh
@D@/ev.sh up "$@"
ip addr add 10.90.0.1/24 dev "$1"
ip link set "$1" up
