#!/bin/sh
# Installs the programs the tests talk to, each only when it is missing. Debian or a derivative, as root.
set -eu

need=
want() { # want PROGRAM PACKAGE
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || need="$need $2"
}
# The daemon we compare ourselves with is 2.6.14; earlier ones of 2.6 say some things differently.
case "$( (openvpn --version || /usr/sbin/openvpn --version) 2>/dev/null | head -n 1)" in
"OpenVPN 2.6."[0-9]" "* | "OpenVPN 2.6.1"[0-3]" "*) need="$need openvpn" ;;
*) want openvpn openvpn ;;
esac
want ip iproute2
want ping iputils-ping
want iperf3 iperf3
want tinyproxy tinyproxy-bin
want microsocks microsocks
want danted dante-server
want openssl openssl
want softhsm2-util softhsm2
want pkcs11-tool opensc
want cc gcc
want slapd slapd
want freeradius freeradius
want faketime faketime
[ -e /usr/lib/openvpn/openvpn-auth-ldap.so ] || need="$need openvpn-auth-ldap"
[ -e /usr/lib/openvpn/radiusplugin.so ] || need="$need openvpn-auth-radius"
[ -e /usr/include/stdio.h ] || need="$need libc6-dev"
want jq jq
want chromium chromium
want man man-db
want rpm rpm
want zsh zsh
want fish fish

[ -n "$need" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "missing:$need; install them, or run as root on Debian. Tests that need them will fail." >&2
	exit 0
fi
echo "installing:$need"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || true
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $need >/dev/null
