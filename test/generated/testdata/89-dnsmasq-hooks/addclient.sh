#!/bin/sh
@D@/ev.sh addclient
cat >"$1" <<END
ifconfig-push 10.89.0.50 255.255.255.0
iroute 192.168.89.0 255.255.255.0
push "route 172.31.0.0 255.255.0.0"
push "dhcp-option DNS 10.89.0.1"
push "echo lan of $common_name"
END
