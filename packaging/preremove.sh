#!/bin/sh
# Before the package goes, not before a newer one takes its place: its daemons end, and nothing starts them at the next boot.
set -e
case ${1:-} in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl stop 'moongate-server@*.service' 'moongate-client@*.service' 'moongate-mux@*.service' || true
fi
for unit in server client mux; do
	find /etc/systemd/system -type l -path "*/moongate-$unit@*.service" -delete 2>/dev/null || true
done
