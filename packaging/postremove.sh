#!/bin/sh
# Configurations stay, and so do journals, unless the package is purged. The group stays: files may belong to it.
set -e
case ${1:-} in
remove | purge | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
rmdir /run/moongate 2>/dev/null || true
if [ "$1" = purge ]; then
	rm -rf /var/lib/moongate
fi
