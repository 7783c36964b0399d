#!/bin/sh
@D@/ev.sh up "$@"
ip link set "$1" up
ip addr replace 10.59.0.1/24 dev "$1"
