package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// doubled are pairs of lines of the same option, or of two that say the same in other words, and the configuration they are put into. What a daemon makes of
// the first line followed by the second is compared with what it makes of each alone.
var doubled = map[string][][2]string{
	"client": {
		{"allow-compression no", "allow-compression yes"}, {"allow-pull-fqdn", "allow-pull-fqdn"}, {"askpass pass", "askpass"},
		{"auth SHA256", "auth SHA512"}, {"auth-nocache", "auth-nocache"}, {"auth-retry nointeract", "auth-retry interact"},
		{"auth-user-pass pass", "auth-user-pass"}, {"auth-user-pass", "auth-user-pass pass"}, {"auth-user-pass pass", "auth-user-pass pass2"},
		{"auth-user-pass pass", "<auth-user-pass>\nu\np\n</auth-user-pass>"}, {"<auth-user-pass>\nu\np\n</auth-user-pass>", "auth-user-pass pass"},
		{"<auth-user-pass>\nu\np\n</auth-user-pass>", "<auth-user-pass>\nv\nq\n</auth-user-pass>"}, {"<auth-user-pass>\nu\np\n</auth-user-pass>", "auth-user-pass"},
		{"bind-dev lo", "bind-dev eth0"}, {"bind", "nobind"}, {"nobind", "bind"}, {"bind ipv6only", "bind"}, {"block-ipv6", "block-ipv6"},
		{"ca cert", "ca cert2"}, {"ca cert", "<ca>\n" + "CERT" + "</ca>"}, {"<ca>\n" + "CERT" + "</ca>", "ca cert2"}, {"<ca>\n" + "CERT" + "</ca>", "<ca>\n" + "CERT2" + "</ca>"},
		{"cert cert", "cert cert2"}, {"<cert>\n" + "CERT" + "</cert>", "cert cert"}, {"key key", "<key>\n" + "KEY" + "</key>"}, {"<key>\n" + "KEY" + "</key>", "key key"},
		{"capath .", "capath dir"}, {"cd .", "cd ."}, {"chroot dir\ntmp-dir .", "chroot dir2\ntmp-dir ."}, {"cipher AES-128-CBC", "cipher AES-192-CBC"},
		{"client-nat snat 10.1.0.0 255.255.0.0 10.2.0.0", "client-nat dnat 10.3.0.0 255.255.0.0 10.4.0.0"},
		{"comp-lzo yes", "comp-lzo no"}, {"comp-lzo no", "comp-lzo"}, {"compress lz4", "compress stub-v2"}, {"compress", "compress lzo"}, {"comp-lzo", "compress stub"}, {"compress stub-v2", "comp-lzo no"},
		{"compress migrate", "compress lz4"}, {"compat-mode 2.4.0", "compat-mode 2.5.0"},
		{"connect-retry 2 20", "connect-retry 3 30"}, {"connect-retry 2 20", "connect-retry 3"}, {"connect-retry-max 3", "connect-retry-max 5"}, {"connect-timeout 7", "connect-timeout 9"},
		{"connect-timeout 7", "server-poll-timeout 9"}, {"server-poll-timeout 7", "connect-timeout 9"},
		{"crl-verify cert", "crl-verify dir dir"}, {"crl-verify dir dir", "crl-verify crl"}, {"crl-verify crl", "<crl-verify>\nCRL\n</crl-verify>"}, {"<crl-verify>\nCRL\n</crl-verify>", "crl-verify dir dir"},
		{"data-ciphers AES-128-GCM", "data-ciphers AES-256-GCM"}, {"data-ciphers AES-128-GCM", "ncp-ciphers AES-256-GCM"}, {"ncp-ciphers AES-128-GCM", "data-ciphers AES-256-GCM"},
		{"data-ciphers-fallback AES-128-CBC", "data-ciphers-fallback AES-256-CBC"}, {"cipher AES-128-CBC", "data-ciphers-fallback AES-256-CBC"}, {"data-ciphers-fallback AES-128-CBC", "cipher AES-256-CBC"},
		{"dev tun", "dev tap"}, {"dev tun3", "dev null"}, {"dev-node /dev/null", "dev-node /dev/zero"}, {"dev-type tun", "dev-type tap"},
		{"dhcp-option DNS 10.1.1.1", "dhcp-option DNS 10.1.1.2"}, {"dhcp-option DOMAIN a.example", "dhcp-option DOMAIN b.example"}, {"dhcp-option DOMAIN-SEARCH a.example", "dhcp-option DOMAIN-SEARCH b.example"},
		{"dhcp-option NTP 10.1.1.1", "dhcp-option NTP 10.1.1.2"}, {"dhcp-option WINS 10.1.1.1", "dhcp-option WINS 10.1.1.2"}, {"dhcp-option FOO a", "dhcp-option FOO b"},
		{"dns server 1 address 10.1.1.1", "dns server 1 address 10.1.1.2"}, {"dns server 1 address 10.1.1.1", "dns server 2 address 10.1.1.2"}, {"dns search-domains a.example", "dns search-domains b.example"},
		{"dns server 1 address 10.1.1.1\ndns server 1 transport DoT", "dns server 1 address 10.1.1.1\ndns server 1 transport DoH"},
		{"dns server 1 address 10.1.1.1\ndns server 1 sni a.example", "dns server 1 address 10.1.1.1\ndns server 1 sni b.example"},
		{"dns server 1 address 10.1.1.1\ndns server 1 dnssec yes", "dns server 1 address 10.1.1.1\ndns server 1 dnssec no"},
		{"dns server 1 address 10.1.1.1\ndns server 1 resolve-domains a.example", "dns server 1 address 10.1.1.1\ndns server 1 resolve-domains b.example"},
		{"disable-occ", "disable-occ"}, {"echo a", "echo b"}, {"engine a", "engine b"}, {"explicit-exit-notify 2", "explicit-exit-notify"}, {"explicit-exit-notify", "explicit-exit-notify 3"},
		{"extra-certs cert", "extra-certs cert2"}, {"extra-certs cert", "<extra-certs>\nCERT</extra-certs>"}, {"<extra-certs>\nCERT</extra-certs>", "extra-certs cert"},
		{"float", "float"}, {"fragment 1200", "fragment 1300"}, {"fragment 1200 mtu", "fragment 1300"}, {"group a", "group b"}, {"hand-window 30", "hand-window 40"},
		{"ifconfig 10.1.0.1 10.1.0.2", "ifconfig 10.2.0.1 10.2.0.2"}, {"ifconfig-ipv6 fd01::1/64 fd01::2", "ifconfig-ipv6 fd02::1/64 fd02::2"},
		{"ignore-unknown-option a b", "ignore-unknown-option c"}, {"inactive 100 5000", "inactive 200"}, {"inactive 100", "inactive 200 7000"}, {"ipchange ./script", "ipchange ./script2"},
		{"keepalive 5 30", "keepalive 7 70"}, {"keepalive 5 30", "ping 9"}, {"ping 9", "keepalive 5 30"}, {"ping 5", "ping 6"}, {"ping-exit 50", "ping-exit 60"}, {"ping-exit 50", "ping-restart 60"},
		{"ping-restart 50", "ping-exit 60"}, {"ping-restart 50", "ping-restart 60"}, {"key-direction 0", "key-direction 1"}, {"keying-material-exporter EXPORTER-a 20", "keying-material-exporter EXPORTER-b 30"},
		{"link-mtu 1400", "link-mtu 1450"}, {"link-mtu 1400", "tun-mtu 1420"}, {"local 127.0.0.1", "local 127.0.0.2"}, {"local 127.0.0.1", "local 127.0.0.1"}, {"local 127.0.0.1 5", "local 127.0.0.2 6"}, {"local 127.0.0.1 5 udp", "local 127.0.0.1 5 udp"},
		{"log a", "log b"}, {"log a", "log-append b"}, {"log-append a", "log b"}, {"syslog a", "syslog b"}, {"log a", "syslog x"}, {"syslog x", "log a"},
		{"lport 5", "lport 6"}, {"port 5", "port 6"}, {"port 5", "lport 6"}, {"lport 5", "port 6"}, {"rport 5", "port 6"}, {"port 5", "rport 6"}, {"rport 5", "rport 6"},
		{"mark 1", "mark 2"}, {"max-packet-size 1300", "max-packet-size 1200"}, {"mlock", "mlock"}, {"mssfix 1300", "mssfix 1200"}, {"mssfix 1300 mtu", "mssfix 1200"}, {"mssfix 1300 fixed", "mssfix 1200 mtu"}, {"mssfix 1300", "mssfix"}, {"mssfix 1300 mtu", "mssfix"}, {"mssfix 0", "mssfix 1200"}, {"mssfix", "mssfix 0"},
		{"mtu-disc yes", "mtu-disc no"}, {"multihome", "multihome same-interface"}, {"multihome same-interface", "multihome"}, {"mute 5", "mute 6"}, {"nice 1", "nice 2"}, {"ns-cert-type server", "ns-cert-type client"},
		{"peer-fingerprint " + fingerA, "peer-fingerprint " + fingerB}, {"peer-fingerprint " + fingerA, "<peer-fingerprint>\n" + fingerB + "\n</peer-fingerprint>"}, {"<peer-fingerprint>\n" + fingerA + "\n</peer-fingerprint>", "peer-fingerprint " + fingerB},
		{"persist-key", "persist-key"}, {"persist-tun", "persist-tun"}, {"preresolve", "preresolve"}, {"proto udp4", "proto udp6"}, {"proto tcp", "proto udp6"}, {"providers default", "providers legacy"}, {"prng none", "prng SHA1"},
		{"pull-filter ignore a", "pull-filter accept a"}, {"push-peer-info", "push-peer-info"}, {"rcvbuf 9000", "rcvbuf 10000"}, {"sndbuf 9000", "sndbuf 10000"},
		{"redirect-gateway def1", "redirect-gateway local"}, {"redirect-gateway def1", "redirect-private ipv6"}, {"redirect-private", "redirect-gateway"}, {"redirect-gateway def1 bypass-dhcp", "redirect-gateway"}, {"redirect-gateway", "redirect-private"}, {"redirect-gateway ipv6 !ipv4", "redirect-gateway"},
		{"remap-usr1 SIGHUP", "remap-usr1 SIGTERM"}, {"remote a 5", "remote b 6"}, {"remote a 5 tcp", "remote b"}, {"remote a 5", "remote a 5"}, {"remote a 5", "rport 6"}, {"rport 6", "remote a 5"}, {"proto tcp", "remote a 5 udp"}, {"remote a 5 udp", "proto tcp"}, {"remote a", "port 7"}, {"port 7", "remote a"},
		{"remote-cert-ku 80", "remote-cert-ku a0"}, {"remote-cert-ku 80 88", "remote-cert-ku"}, {"remote-cert-eku a", "remote-cert-eku b"}, {"remote-cert-tls server", "remote-cert-tls client"}, {"remote-cert-tls server", "remote-cert-eku b"}, {"remote-cert-ku 80", "remote-cert-tls server"},
		{"remote-random", "remote-random"}, {"reneg-bytes 1000000", "reneg-bytes 2000000"}, {"reneg-pkts 100", "reneg-pkts 200"}, {"reneg-sec 60", "reneg-sec 90"}, {"reneg-sec 60 30", "reneg-sec 90"}, {"reneg-sec 60", "reneg-sec 90 40"},
		{"replay-persist a", "replay-persist b"}, {"replay-window 32 5", "replay-window 128"}, {"replay-window 32", "replay-window 128 7"}, {"resolv-retry 5", "resolv-retry infinite"}, {"resolv-retry infinite", "resolv-retry 5"},
		{"route 10.5.0.0 255.255.0.0", "route 10.6.0.0 255.255.0.0"}, {"route 10.5.0.0 255.255.0.0", "route 10.5.0.0 255.255.0.0"}, {"route-ipv6 fd05::/64", "route-ipv6 fd06::/64"}, {"route-delay 3 10", "route-delay 4"}, {"route-delay 3", "route-delay 4 20"}, {"route-delay 3", "route-delay"},
		{"route-gateway 10.0.0.1", "route-gateway 10.0.0.2"}, {"route-gateway dhcp", "route-gateway 10.0.0.2"}, {"route-gateway 10.0.0.2", "route-gateway dhcp"}, {"route-ipv6-gateway fd00::1", "route-ipv6-gateway fd00::2"}, {"route-metric 5", "route-metric 6"}, {"route-noexec", "route-noexec"}, {"route-nopull", "route-nopull"},
		{"route 10.5.0.0 255.255.0.0", "route-metric 6"}, {"route-metric 6", "route 10.5.0.0 255.255.0.0"}, {"route 10.5.0.0 255.255.0.0", "route-gateway 10.0.0.2"}, {"script-security 2", "script-security 3"}, {"session-timeout 60", "session-timeout 90"},
		{"setenv aa b", "setenv aa c"}, {"setenv aa b", "setenv cc d"}, {"setenv aa b", "setenv-safe aa c"}, {"setenv-safe aa b", "setenv-safe aa c"}, {"setenv aa b", "setenv aa"},
		{"static-challenge a 1", "static-challenge b 0"}, {"status a 5", "status b"}, {"status a", "status b 7"}, {"status-version 2", "status-version 3"}, {"suppress-timestamps", "suppress-timestamps"}, {"syslog", "syslog x"},
		{"tls-auth ta", "tls-auth ta2"}, {"tls-auth ta 0", "tls-auth ta2"}, {"tls-auth ta", "tls-auth ta2 1"}, {"tls-auth ta 0", "key-direction 1"}, {"key-direction 1", "tls-auth ta 0"}, {"key-direction 1", "tls-auth ta"}, {"<tls-auth>\nTA</tls-auth>", "tls-auth ta2 1"}, {"tls-auth ta2 1", "<tls-auth>\nTA</tls-auth>"},
		{"tls-crypt ta", "tls-crypt ta2"}, {"<tls-crypt>\nTA</tls-crypt>", "tls-crypt ta2"}, {"tls-crypt ta2", "<tls-crypt>\nTA</tls-crypt>"}, {"tls-auth ta", "tls-crypt ta2"}, {"tls-crypt ta", "tls-auth ta2"},
		{"tls-cert-profile legacy", "tls-cert-profile preferred"}, {"tls-cipher DEFAULT", "tls-cipher TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256"}, {"tls-ciphersuites TLS_AES_128_GCM_SHA256", "tls-ciphersuites TLS_AES_256_GCM_SHA384"}, {"tls-export-cert dir", "tls-export-cert dir2"}, {"tls-groups X25519", "tls-groups P-256"}, {"ecdh-curve secp384r1", "ecdh-curve secp521r1"},
		{"tls-timeout 3", "tls-timeout 4"}, {"tls-verify ./script", "tls-verify ./script2"}, {"tls-version-max 1.2", "tls-version-max 1.3"}, {"tls-version-min 1.2", "tls-version-min 1.3"}, {"tls-version-min 1.3 or-highest", "tls-version-min 1.2"}, {"tmp-dir dir", "tmp-dir dir2"}, {"topology subnet", "topology net30"}, {"tran-window 60", "tran-window 90"},
		{"tun-mtu 1400", "tun-mtu 1300"}, {"tun-mtu 1400 1450", "tun-mtu 1300"}, {"tun-mtu 1400", "link-mtu 1420"}, {"tun-mtu-extra 10", "tun-mtu-extra 20"}, {"tun-mtu-max 1700", "tun-mtu-max 1800"}, {"txqueuelen 100", "txqueuelen 200"},
		{"up ./script", "up ./script2"}, {"down ./script", "down ./script2"}, {"up-delay", "up-delay"}, {"up-restart", "up-restart"}, {"route-up ./script", "route-up ./script2"}, {"route-pre-down ./script", "route-pre-down ./script2"}, {"user root", "user nobody"}, {"verb 5", "verb 6"},
		{"verify-hash " + fingerA + " SHA256", "verify-hash " + fingerB + " SHA256"}, {"verify-hash " + sha1A, "verify-hash " + sha1B}, {"verify-x509-name a name", "verify-x509-name b"}, {"verify-x509-name a", "verify-x509-name b name-prefix"}, {"writepid a", "writepid b"}, {"x509-track CN", "x509-track +O"},
		{"show-ciphers", "show-digests"}, {"mode p2p", "mode p2p"}, {"shaper 1000", "shaper 2000"}, {"route-table 5", "route-table 6"}, {"dns-updown disable", "dns-updown ./script"}, {"dns-updown ./script", "dns-updown ./script2"}, {"dns-updown ./script", "dns-updown disable"}, {"dns-updown ./script", "dns-updown force"}, {"dns-updown force", "dns-updown ./script"}, {"dns-updown disable", "dns-updown force"},
		{"allow-recursive-routing", "allow-recursive-routing"}, {"config empty", "config empty2"}, {"machine-readable-output", "machine-readable-output"}, {"protocol-flags tls-ekm", "protocol-flags dyn-tls-crypt"}, {"key-derivation tls-ekm", "key-derivation tls-ekm"}, {"socket-flags TCP_NODELAY", "socket-flags TCP_NODELAY"},
		{"plugin a.so", "plugin b.so"}, {"mtu-test", "mtu-test"}, {"single-session", "single-session"}, {"tls-exit", "tls-exit"}, {"udp-mtu 1400", "udp-mtu 1300"}, {"udp-mtu 1400", "link-mtu 1300"},
	},
	"server": {
		{"auth-gen-token 10", "auth-gen-token 20"}, {"auth-gen-token 1000 300", "auth-gen-token 20"}, {"auth-gen-token 10 external-auth", "auth-gen-token 20"}, {"auth-gen-token 1000 300 external-auth", "auth-gen-token"}, {"auth-gen-token-secret ta", "auth-gen-token-secret ta2"}, {"bcast-buffers 10", "bcast-buffers 20"},
		{"auth-user-pass-verify ./script via-env", "auth-user-pass-verify ./script2 via-file"}, {"auth-user-pass-verify ./script via-file", "auth-user-pass-verify ./script2 via-env"}, {"ccd-exclusive\nclient-config-dir dir", "client-config-dir dir2"}, {"client-config-dir dir", "client-config-dir dir2"}, {"client-connect ./script", "client-connect ./script2"}, {"client-disconnect ./script", "client-disconnect ./script2"}, {"client-crresponse ./script", "client-crresponse ./script2"},
		{"client-to-client", "client-to-client"}, {"connect-freq 1 10", "connect-freq 2 20"}, {"connect-freq-initial 1 10", "connect-freq-initial 2 20"}, {"dh none", "dh none"}, {"duplicate-cn", "duplicate-cn"}, {"hash-size 16 16", "hash-size 32 32"}, {"ifconfig-pool-persist a 5", "ifconfig-pool-persist b"}, {"ifconfig-pool-persist a", "ifconfig-pool-persist b 5"}, {"ifconfig-pool-persist a 0", "ifconfig-pool-persist b"}, {"ifconfig-push-constraint 10.8.0.0 255.255.255.0", "ifconfig-push-constraint 10.9.0.0 255.255.255.0"},
		{"keepalive 5 30", "keepalive 7 70"}, {"learn-address ./script", "learn-address ./script2"}, {"local 127.0.0.1", "local 127.0.0.2"}, {"local 127.0.0.1", "local 127.0.0.1"}, {"local 127.0.0.1 5 udp", "local 127.0.0.1 5 udp"}, {"local 127.0.0.1 5 udp", "local 127.0.0.1 5 tcp-server"}, {"local 127.0.0.1", "port 7"}, {"port 7", "local 127.0.0.1"}, {"local 127.0.0.1 5", "port 7"}, {"local *", "local * 7"},
		{"max-clients 10", "max-clients 20"}, {"max-routes-per-client 10", "max-routes-per-client 20"}, {"port-share 127.0.0.1 5\nproto tcp", "port-share 127.0.0.1 6\nproto tcp"}, {"port-share 127.0.0.1 5 dir\nproto tcp", "port-share 127.0.0.1 6\nproto tcp"}, {"proto udp", "proto tcp"}, {"proto tcp", "proto udp"}, {"push \"route 10.1.0.0 255.255.0.0\"", "push \"route 10.1.0.0 255.255.0.0\""}, {"push \"a\"", "push \"b\""}, {"push \"topology subnet\"", "push \"topology net30\""},
		{"server 10.8.0.0 255.255.255.0", "server 10.9.0.0 255.255.255.0"}, {"server 10.8.0.0 255.255.255.0 nopool", "server 10.9.0.0 255.255.255.0"}, {"server-ipv6 fd01::/64", "server-ipv6 fd02::/64"}, {"ifconfig-ipv6 fd01::1/64 fd01::2\nifconfig-ipv6-pool fd01::/64", "ifconfig-ipv6 fd01::1/64 fd01::2\nifconfig-ipv6-pool fd02::/64"}, {"stale-routes-check 5", "stale-routes-check 6"}, {"stale-routes-check 5 7", "stale-routes-check 6"}, {"tcp-queue-limit 10", "tcp-queue-limit 20"}, {"tcp-nodelay", "tcp-nodelay"},
		{"tls-crypt-v2 v2", "tls-crypt-v2 v2b"}, {"tls-crypt-v2 v2 force-cookie", "tls-crypt-v2 v2b"}, {"tls-crypt-v2 v2 force-cookie", "tls-crypt-v2 v2 allow-noncookie"}, {"tls-crypt-v2 v2 allow-noncookie", "tls-crypt-v2 v2"}, {"tls-crypt-v2-verify ./script", "tls-crypt-v2-verify ./script2"}, {"tls-crypt-v2-max-age 3", "tls-crypt-v2-max-age 4"}, {"topology subnet", "topology p2p"}, {"verify-client-cert none", "verify-client-cert optional"}, {"verify-client-cert none", "verify-client-cert"}, {"verify-client-cert", "verify-client-cert optional"},
		{"x509-username-field CN", "x509-username-field UID"}, {"x509-username-field O", "x509-username-field UID CN"}, {"username-as-common-name", "username-as-common-name"}, {"explicit-exit-notify 2", "explicit-exit-notify"}, {"compress lz4", "compress stub-v2"}, {"float", "float"}, {"multihome", "local 127.0.0.1"}, {"force-tls-key-material-export", "force-tls-key-material-export"}, {"auth-user-pass-optional", "auth-user-pass-optional"}, {"dh DH", "dh none"}, {"dh none", "dh DH"}, {"mode server", "mode server"},
	},
	"management": {
		{"management 127.0.0.1 5", "management 127.0.0.1 6"}, {"management 127.0.0.1 5 pass", "management 127.0.0.1 6"}, {"management m unix", "management 127.0.0.1 6 pass"}, {"management-client", "management-client"}, {"management-client-auth", "management-client-auth"},
		{"management-hold", "management-hold"}, {"management-log-cache 10", "management-log-cache 20"}, {"management-query-passwords", "management-query-passwords"}, {"management-query-proxy", "management-query-proxy"}, {"management-query-remote", "management-query-remote"}, {"management-signal", "management-signal"}, {"management-up-down", "management-up-down"},
	},
	"proxy": {
		{"http-proxy a 80", "http-proxy b 81"}, {"http-proxy a 80 pass", "http-proxy b 81"}, {"http-proxy a 80 auto", "http-proxy b 81 pass2 basic"}, {"http-proxy a 80 pass basic", "http-proxy b 81 auto"}, {"http-proxy a 80\nhttp-proxy-option VERSION 1.0", "http-proxy a 80\nhttp-proxy-option VERSION 1.1"}, {"http-proxy a 80\nhttp-proxy-option AGENT x", "http-proxy a 80\nhttp-proxy-option AGENT y"}, {"http-proxy a 80\nhttp-proxy-option CUSTOM-HEADER x y", "http-proxy a 80\nhttp-proxy-option CUSTOM-HEADER z w"},
		{"socks-proxy a", "socks-proxy b 81"}, {"socks-proxy a 80 pass", "socks-proxy b"}, {"http-proxy a 80", "socks-proxy b"}, {"socks-proxy b", "http-proxy a 80"}, {"socks-proxy a 80", "socks-proxy b"}, {"http-proxy a 80 pass\nhttp-proxy-user-pass pass2", "http-proxy a 80 pass"}, {"http-proxy a 80 auto\n<http-proxy-user-pass>\nu\np\n</http-proxy-user-pass>", "http-proxy a 80 auto\n<http-proxy-user-pass>\nv\nq\n</http-proxy-user-pass>"},
	},
	"bridge": {
		{"server-bridge 10.8.0.1 255.255.255.0 10.8.0.10 10.8.0.20", "server-bridge 10.9.0.1 255.255.255.0 10.9.0.10 10.9.0.20"}, {"server-bridge", "server-bridge nogw"}, {"server-bridge nogw", "server-bridge"}, {"server-bridge 10.8.0.1 255.255.255.0 10.8.0.10 10.8.0.20", "server-bridge"}, {"ifconfig-pool 10.8.0.10 10.8.0.20 255.255.255.0", "ifconfig-pool 10.8.0.30 10.8.0.40"},
		{"server-bridge\nlladdr 02:00:00:00:00:01", "server-bridge\nlladdr 02:00:00:00:00:02"}, {"server-bridge\nvlan-tagging\nvlan-pvid 3", "server-bridge\nvlan-tagging\nvlan-pvid 4"}, {"server-bridge\nvlan-tagging\nvlan-accept tagged", "server-bridge\nvlan-tagging\nvlan-accept all"},
	},
	"unix management": {
		{"management-client-group root", "management-client-group daemon"}, {"management-client-user root", "management-client-user daemon"},
	},
	"profile": {
		{"proto udp4", "proto udp6"}, {"lport 5", "lport 6"}, {"rport 5", "rport 6"}, {"port 5", "port 6"}, {"nobind", "lport 6"}, {"connect-retry 2", "connect-retry 3"}, {"connect-timeout 7", "connect-timeout 9"},
		{"explicit-exit-notify 2", "explicit-exit-notify 3"}, {"tun-mtu 1400", "tun-mtu 1300"}, {"fragment 1200", "fragment 1300"}, {"mssfix 1300", "mssfix 1200"}, {"mtu-disc yes", "mtu-disc no"}, {"socks-proxy a", "socks-proxy b"},
		{"tls-auth ta 0", "tls-auth ta2 1"}, {"tls-auth ta", "tls-crypt ta2"}, {"tls-crypt ta", "tls-auth ta2"}, {"tls-crypt ta", "tls-crypt ta2"}, {"key-direction 0", "key-direction 1"}, {"<tls-crypt>\nTA</tls-crypt>", "tls-crypt ta2"},
		{"mssfix 1300", "fragment 1200"}, {"tun-mtu 1400", "mssfix 1200"}, {"link-mtu 1400", "tun-mtu 1300"},
	},
	"external key": {
		{"management-external-key pss", "management-external-key pkcs1"}, {"management-external-key nopadding", "management-external-key"}, {"management-external-key", "management-external-key pss"},
	},
	"external both": {
		{"management-external-cert a", "management-external-cert b"}, {"management-external-key pss", "management-external-key pkcs1"},
	},
	"vlan": {
		{"vlan-accept tagged", "vlan-accept untagged"}, {"vlan-pvid 3", "vlan-pvid 4"}, {"opt-verify", "opt-verify"},
	},
	"static": {
		{"secret ta", "secret ta2"}, {"secret ta 0", "secret ta2"}, {"secret ta", "secret ta2 1"}, {"secret ta 0", "secret ta\nkey-direction 1"}, {"secret ta", "<secret>\nTA</secret>"}, {"<secret>\nTA</secret>", "secret ta2"}, {"secret ta\nno-replay", "secret ta\nreplay-window 32"}, {"secret ta\nshaper 1000", "secret ta\nshaper 2000"},
	},
}

const (
	fingerA = "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f"
	fingerB = "10:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f"
	sha1A   = "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:00:01:02:03"
	sha1B   = "10:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:00:01:02:03"
)

// doubledBases are the configurations. Their remote comes last, as a line that is moved into a block.
var doubledBases = map[string]string{
	"client":          "client\ndev null\nca cert\ncert cert\nkey key\nscript-security 2\nremote 127.0.0.1 1\n",
	"server":          "dev tun\nserver 10.8.0.0 255.255.255.0\nca cert\ncert cert\nkey key\ndh none\nscript-security 2\nauth-user-pass-verify ./script via-env\n",
	"management":      "client\ndev null\nca cert\nmanagement 127.0.0.1 1\ncert cert\nkey key\nremote 127.0.0.1 1\n",
	"proxy":           "client\ndev null\nproto tcp\nca cert\ncert cert\nkey key\nremote 127.0.0.1 1\n",
	"bridge":          "dev tap\nca cert\ncert cert\nkey key\ndh none\nmode server\ntls-server\n",
	"external key":    "client\ndev null\nca cert\ncert cert\nmanagement 127.0.0.1 1\nremote 127.0.0.1 1\n",
	"external both":   "client\ndev null\nca cert\nmanagement 127.0.0.1 1\nmanagement-external-key pss\nmanagement-external-cert c\nremote 127.0.0.1 1\n",
	"vlan":            "dev tap\nserver 10.8.0.0 255.255.255.0\nca cert\ncert cert\nkey key\ndh none\nvlan-tagging\n",
	"unix management": "client\ndev null\nca cert\nmanagement m unix\ncert cert\nkey key\nremote 127.0.0.1 1\n",
	"profile":         "client\ndev null\nca cert\ncert cert\nkey key\n",
	"static":          "dev null\nsetenv opt allow-deprecated-insecure-static-crypto\ncipher AES-256-CBC\nremote 127.0.0.1 1\n",
}

// meaning says in a word how two lines together compare with each alone.
func meaning(first, second, both, reverse verdict) string {
	switch {
	case first.refused != "" || second.refused != "":
		return "alone"
	case both.refused != "":
		return "refused"
	case both.meant == first.meant && both.meant == second.meant:
		return "same"
	case both.meant == second.meant:
		return "last"
	case both.meant == first.meant:
		return "first"
	case both.meant == reverse.meant:
		return "union"
	default:
		return "list"
	}
}

// texts are the first line, the second, both, and both the other way round. Under "profile" the first is global, and the second is of a profile.
func texts(base string, p [2]string) (first, second, both, reverse string) {
	b := doubledBases[base]
	if base != "profile" {
		return b + p[0], b + p[1], b + p[0] + "\n" + p[1], b + p[1] + "\n" + p[0]
	}
	const start, end = "\n<connection>\nremote 127.0.0.1 1\n", "\n</connection>\n"
	return b + p[0] + start + end, b + start + p[1] + end, b + p[0] + start + p[1] + end, b + start + p[1] + end + p[0]
}

// verdict tells why a daemon refuses a configuration, or how it reads it.
type verdict struct{ refused, meant string }

// doubledDir has the files that the pairs name.
func doubledDir(t *testing.T) (dir string, fill *strings.Replacer) {
	t.Helper()
	dir, other := workDir(t), workDir(t)
	read := func(d, name string) string {
		b, err := os.ReadFile(filepath.Join(d, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil { //nolint:gosec // scripts run
			t.Fatal(err)
		}
	}
	write("cert2", read(other, "cert"))
	write("pass2", "v\nq\n")
	write("script2", "#!/bin/sh\n")
	write("empty", "")
	write("empty2", "")
	write("p12", "")
	key := func(c string) string {
		return "-----BEGIN OpenVPN Static key V1-----\n" + strings.Repeat(strings.Repeat(c, 32)+"\n", 16) + "-----END OpenVPN Static key V1-----\n"
	}
	write("ta", key("1f"))
	write("ta2", key("2e"))
	for _, d := range []string{"dir", "dir2"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil { //nolint:gosec // as people make them
			t.Fatal(err)
		}
	}
	write("crl", "")
	write("v2", "")
	write("v2b", "")
	write("DH", "")
	return dir, strings.NewReplacer("CERT2", read(other, "cert"), "CERT", read(dir, "cert"), "KEY", read(dir, "key"), "TA", key("1f"))
}

// oursMeans parses a configuration and writes our options down.
func oursMeans(t *testing.T, dir string, args ...string) verdict {
	t.Helper()
	o, err := Parse(args, Env{})
	if err := os.Chdir(dir); err != nil { // cd went elsewhere
		t.Fatal(err)
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		if len(e.Before) > 0 {
			return verdict{refused: strings.Join(e.Before, "; ")}
		}
		return verdict{refused: err.Error()}
	}
	c := *o
	c.Notes, c.Warnings, c.Jail = nil, nil, nil
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return verdict{meant: string(b)}
}

// doubledFile has what stock makes of each pair.
const doubledFile = "testdata/given-twice.txt"

// doubledPairs are the bases and pairs in the order of the file.
func doubledPairs() iter.Seq2[string, [2]string] {
	return func(yield func(string, [2]string) bool) {
		for _, base := range slices.Sorted(maps.Keys(doubled)) {
			for _, p := range doubled[base] {
				if !yield(base, p) {
					return
				}
			}
		}
	}
}

// Options given twice mean what either stock makes of them.
func TestGivenTwice(t *testing.T) {
	dir, fill := doubledDir(t)
	stocks := doubledWords(t)
	t.Chdir(dir)
	is := func(text string) verdict {
		if err := os.WriteFile("c.conf", []byte(fill.Replace(text+"\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		return oursMeans(t, dir, "c.conf")
	}
	var differ []string
	for base, p := range doubledPairs() {
		first, second, both, reverse := texts(base, p)
		xy := is(both)
		got := meaning(is(first), is(second), xy, is(reverse))
		key := fmt.Sprintf("%s|%q|%q", base, p[0], p[1])
		stock := stocks[key]
		if stock == nil {
			t.Fatalf("%s is not in %s: run TestSoakGivenTwice", key, doubledFile)
		}
		ok := slices.Contains(stock, got) || got == "same" || slices.Contains(stock, "unseen") && xy.refused == ""
		if !ok && doubledReason(p) == "" {
			t.Errorf("%s: %s, stock %q %s", key, got, stock, xy.refused)
		}
		if !ok {
			differ = append(differ, p[0]+"|"+p[1])
		}
	}
	for why, pairs := range doubledReasons {
		for _, p := range pairs {
			if !slices.Contains(differ, p) {
				t.Errorf("%s is as stock has it, and has a reason: %s", p, why)
			}
		}
	}
}

// doubledWords reads the words of both stock daemons.
func doubledWords(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(doubledFile)
	if err != nil {
		t.Fatal(err)
	}
	words := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if n := len(f); n == 5 {
			words[strings.Join(f[:3], "|")] = f[3:]
		}
	}
	return words
}

// doubledReasons are why some pairs do not mean what either stock logs of them; those of kind unseenByStock differ in the log alone.
var doubledReasons = map[string][]string{
	unseenByStock: {
		"<auth-user-pass>\nu\np\n</auth-user-pass>|<auth-user-pass>\nv\nq\n</auth-user-pass>", "<ca>\nCERT</ca>|<ca>\nCERT2</ca>", "compat-mode 2.4.0|compat-mode 2.5.0",
		"connect-retry 2 20|connect-retry 3", "cipher AES-128-CBC|data-ciphers-fallback AES-256-CBC", "data-ciphers-fallback AES-128-CBC|cipher AES-256-CBC", "syslog a|syslog b",
		"log a|syslog x", "syslog x|log a", "syslog|syslog x", "providers default|providers legacy", "redirect-gateway def1|redirect-gateway local", "redirect-gateway def1|redirect-private ipv6",
		"redirect-private|redirect-gateway", "redirect-gateway def1 bypass-dhcp|redirect-gateway", "redirect-gateway|redirect-private", "redirect-gateway ipv6 !ipv4|redirect-gateway",
		"reneg-sec 60 30|reneg-sec 90", "tun-mtu 1400 1450|tun-mtu 1300", "show-ciphers|show-digests", "plugin a.so|plugin b.so", "management-external-key pss|management-external-key pkcs1",
		"management-external-key nopadding|management-external-key", "management-external-key|management-external-key pss", "tun-mtu 1400|tun-mtu 1300", "tls-auth ta 0|tls-auth ta2 1",
		"auth-gen-token 1000 300|auth-gen-token 20", "auth-gen-token 10 external-auth|auth-gen-token 20", "auth-gen-token 1000 300 external-auth|auth-gen-token",
		"tls-crypt-v2 v2 force-cookie|tls-crypt-v2 v2b", "tls-crypt-v2 v2 force-cookie|tls-crypt-v2 v2 allow-noncookie", "http-proxy a 80 pass basic|http-proxy b 81 auto",
	},
	"the last line alone counts, where stock keeps a flag of the first one that means nothing beside the second": {
		"compress lz4|compress stub-v2", "compress|compress lzo", "compress stub-v2|comp-lzo no", "compress migrate|compress lz4", "mssfix 1300 fixed|mssfix 1200 mtu", "remote-cert-ku 80 88|remote-cert-ku",
	},
	"the second one is a file; stock looks for a folder of that name":                      {"crl-verify dir dir|crl-verify crl"},
	"the port asks for the login; stock goes on with the block":                            {"<auth-user-pass>\nu\np\n</auth-user-pass>|auth-user-pass"},
	"one port more; stock has the last one alone":                                          {"management 127.0.0.1 5|management 127.0.0.1 6"},
	"the last one counts under compat 2.6, which has no port in it":                        {"local 127.0.0.1 5|local 127.0.0.2 6"},
	"mssfix counts in a profile, too; stock takes it there only when there is one outside": {"mssfix 1300|mssfix 1200"},
	"link-mtu and tun-mtu exclude each other in a profile as they do outside":              {"link-mtu 1400|tun-mtu 1300"},
}

const unseenByStock = "stock's log does not tell"

func doubledReason(p [2]string) string {
	for why, pairs := range doubledReasons {
		if slices.Contains(pairs, p[0]+"|"+p[1]) {
			return why
		}
	}
	return ""
}
