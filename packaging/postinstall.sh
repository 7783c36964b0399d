#!/bin/sh
# The group of the management sockets.
set -e
if command -v systemd-sysusers >/dev/null 2>&1; then
	systemd-sysusers moongate.conf || true
fi
getent group moongate >/dev/null 2>&1 || groupadd --system moongate 2>/dev/null || addgroup --system moongate
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
