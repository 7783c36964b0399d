#!/bin/sh
@D@/ev.sh office-up
ip route add 10.0.115.0/24 via "$5"
