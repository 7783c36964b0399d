#!/bin/sh
# package.sh DEB RPM WORK: installs RPM in a copy-on-write root, takes it away, installs DEB and runs a tunnel from it, as a new machine would: the
# units' ExecStart lines, two network namespaces, names for -a, manual pages, completion in three shells. It runs in namespaces of its own (unshare -mn)
# and leaves nothing behind.
set -eu
deb=$1 rpm=$2 work=$3
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
cp "$deb" "$work/root/tmp/moongate.deb"
cp "$rpm" "$work/root/tmp/moongate.rpm"
root=$work/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
rm -rf "$root/etc/openvpn" "$root/usr/local/bin/moongate"

cat > "$root/tmp/inside.sh" <<'INSIDE'
set -eux
# the .rpm has the files of the .deb, installs, runs, and leaves nothing when it goes
dpkg -c /tmp/moongate.deb | sed -n 's/^-.* \.\(\/.*\)/\1/p' | sort > /tmp/deb.files
rpm -qp --qf '[%{FILEMODES:perms} %{FILENAMES}\n]' /tmp/moongate.rpm 2>/dev/null | sed -n 's/^-[^ ]* //p' | sort > /tmp/rpm.files
diff /tmp/deb.files /tmp/rpm.files
rpm --initdb
rpm -i --force-debian --nodeps /tmp/moongate.rpm
getent group moongate
test "$(rpm -q --qf '%{VERSION}' moongate)" = "$(dpkg-deb -f /tmp/moongate.deb Version)"
moongate --version
rpm -V moongate
rpm -e --nodeps moongate
test ! -e /usr/bin/moongate
test ! -e /usr/share/moongate/types/moongate.lua

dpkg -i /tmp/moongate.deb
getent group moongate
test "$(command -v moongate)" = /usr/bin/moongate
# what RuntimeDirectory= does
mkdir -m 750 /run/moongate
chgrp moongate /run/moongate

cd /tmp
for n in server client; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$n" -keyout $n.key -out $n.crt 2>/dev/null
done
print() { openssl x509 -in $1.crt -noout -fingerprint -sha256 | cut -d= -f2; }
cp server.* /etc/openvpn/server/
cp client.* /etc/openvpn/client/
cat > /etc/openvpn/server/office.conf <<EOF
dev tun
proto udp4
topology subnet
server 10.77.1.0 255.255.255.0
dh none
cert server.crt
key server.key
peer-fingerprint $(print client)
keepalive 1 10
EOF
cat > /etc/openvpn/client/home.conf <<EOF
client
dev tun
remote 10.77.0.1 1194 udp4
cert client.crt
key client.key
peer-fingerprint $(print server)
EOF
# a network namespace for the client; ours is the server's
unshare -n sleep 300 & far=$!
trap 'kill $far $(jobs -p) 2>/dev/null || true' EXIT
while test "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/self/ns/net)"; do sleep 0.05; done
ip link set lo up
ip link add mgp0 type veth peer name mgp1 netns $far
ip addr add 10.77.0.1/24 dev mgp0
ip link set mgp0 up
nsenter -t $far -n ip addr add 10.77.0.2/24 dev mgp1
nsenter -t $far -n ip link set mgp1 up

# start UNIT NAME: its ExecStart line, in its WorkingDirectory
start() {
	line=$(sed -n 's/^ExecStart=//p' "/usr/lib/systemd/system/moongate-$1@.service" | sed "s/%i/$2/g; s#%t#/run#g; s#%S#/var/lib#g")
	cd "$(sed -n 's/^WorkingDirectory=//p' "/usr/lib/systemd/system/moongate-$1@.service")"
	$3 $line > "/tmp/$2.log" 2>&1 &
	cd /tmp
	i=0
	until test -S /run/moongate/$2.sock; do i=$((i + 1)); test $i -lt 200; sleep 0.1; done # what Type=notify waits for
}
start server office ''
start client home "nsenter -t $far -n"
moongate -a home wait --state CONNECTED --timeout 30s || { cat /tmp/office.log /tmp/home.log; exit 1; }
moongate -a office wait --client client --timeout 10s
moongate -a office status
moongate -a '*' state
test "$(moongate -a office clients --json | grep -c '"common_name":"client"')" = 1
nsenter -t $far -n ping -c 2 -W 5 10.77.1.1
rc=0; moongate status || rc=$? # two sockets and no name
test $rc = 2

MANPAGER=cat MANWIDTH=100 man moongate | grep -q 'EXIT STATUS'
MANPAGER=cat man 7 moongate-management | grep -q 'client-deny'
bash -c '. /usr/share/bash-completion/bash_completion 2>/dev/null || true
	. /usr/share/bash-completion/completions/moongate
	type __start_moongate' > /dev/null
test "$(moongate __complete kill -a office '' 2>/dev/null | head -1)" = client
# each shell loads what the package brings, and offers commands and the client that is here
fish -c 'complete -C "moongate kill -a office "' | grep -qx client
fish -c 'complete -C "moongate stat"' | grep -q '^status'
cat > /tmp/complete.zsh <<'ZSH'
fpath=(/usr/share/zsh/vendor-completions $fpath)
autoload -Uz compinit && compinit -u -d /tmp/zcompdump
test "$_comps[moongate]" = _moongate || exit 1
_describe() { print -l -- $completions; } # what it would offer, without a line editor
compadd() { :; }
CURRENT=5 words=(moongate kill -a office '')
_moongate
CURRENT=2 words=(moongate stat)
_moongate
ZSH
zsh -f /tmp/complete.zsh > /tmp/zsh.out
grep -q '^client' /tmp/zsh.out && grep -q '^status' /tmp/zsh.out
test -s /usr/share/moongate/types/moongate.lua && moongate check /usr/share/moongate/examples/lua/*.lua
test -s /usr/share/doc/moongate/CHANGELOG.md
moongate -a home signal term
moongate -a office signal term

# what goes takes its links and, when purged, its journals along; configurations stay
mkdir -p /etc/systemd/system/multi-user.target.wants /var/lib/moongate/journal/office
ln -s /usr/lib/systemd/system/moongate-server@.service /etc/systemd/system/multi-user.target.wants/moongate-server@office.service
dpkg -r moongate
test ! -L /etc/systemd/system/multi-user.target.wants/moongate-server@office.service
test -e /var/lib/moongate/journal/office
dpkg -P moongate
test ! -e /var/lib/moongate
test -s /etc/openvpn/server/office.conf
while read -r f; do test ! -e "$f"; done < /tmp/deb.files
test ! -e /usr/share/moongate && test ! -e /usr/share/doc/moongate
echo INSTALLED
INSIDE
chroot "$root" /bin/sh /tmp/inside.sh
