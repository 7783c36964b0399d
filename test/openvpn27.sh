#!/bin/sh
# Unpacks a stock OpenVPN 2.7 with its libraries beside the installed one and prints the path of a program that runs it.
# Nothing is installed. Debian, root or not; the packages come from the mirror that apt is set up for.
# Usage: openvpn27.sh [DIR]     DIR defaults to ~/.cache/moongate/openvpn27
set -eu
dir=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/moongate/openvpn27}
run=$dir/openvpn
if [ -x "$run" ]; then
	echo "$run"
	exit 0
fi
mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/none"
dir=$(cd "$dir" && pwd)

mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
	sed -n 's/^URIs: *\([^ ]*debian\)\/*$/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*debian\)\/* .*/\2/p' | head -n 1)
if [ -z "$mirror" ]; then
	echo "openvpn27.sh: apt has no Debian mirror here" >&2
	exit 1
fi
: >"$dir/status"
for suite in trixie trixie-backports; do
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >"$dir/sources.list"
apt() {
	apt-get -qq -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts="$dir/none" -o Dir::State::Lists="$dir/lists" \
		-o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root -o APT::Install-Recommends=false "$@"
}
apt update >&2
apt -y --download-only -t trixie-backports install openvpn >&2

rm -rf "$dir/root.part"
mkdir -p "$dir/root.part/usr/bin" "$dir/root.part/usr/sbin" "$dir/root.part/usr/lib" "$dir/root.part/usr/lib64"
for d in bin sbin lib lib64; do ln -s "usr/$d" "$dir/root.part/$d"; done # the merged layout that packages expect
for deb in "$dir"/cache/archives/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir/root.part" --keep-directory-symlink --no-same-owner
done
rm -rf "$dir/root" "$dir/cache" "$dir/lists"
mv "$dir/root.part" "$dir/root"

# Its own loader and libraries, on the machine's files: configurations and scripts stay where they are.
loader=$(find "$dir/root/usr/lib" "$dir/root/usr/lib64" -name 'ld-linux*.so.*' | head -n 1)
libs=$(dirname "$(find "$dir/root/usr/lib" -name 'libc.so.6' | head -n 1)")
cat >"$run.part" <<RUN
#!/bin/sh
OPENSSL_MODULES='$libs/ossl-modules' exec '$loader' --argv0 openvpn --library-path '$libs' '$dir/root/usr/sbin/openvpn' "\$@"
RUN
chmod +x "$run.part"
mv "$run.part" "$run"
"$run" --version | head -n 1 >&2
echo "$run"
