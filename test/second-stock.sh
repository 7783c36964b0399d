#!/bin/sh
# Runs interop tests against stock 2.7 as well, in both roles. Where 2.7 cannot be had it says so and ends well.
# Usage: second-stock.sh DIR [all]     DIR: test.test, conformance.test and moongate.test; all: what takes longer, too
set -eu
programs=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
if ! stock=$(sh test/openvpn27.sh); then
	echo "NOT TESTED against stock 2.7: test/openvpn27.sh could not unpack it" >&2
	exit 0
fi
# Both roles: transports, control channel wrapping, ciphers, peers without a pull, renewals, roaming, tokens, passwords, TAP, reload.
# Tests that compare words with stock's (…LikeStock) follow 2.6 and are not here; the conversations of test/conformance are.
run='TestClientAgainstStockServer|TestServerWithClient|TestPeersWithoutPull|TestClientRenews|TestClientUsesItsToken'
run="$run|TestServerIssuesTokens|TestServerVerifiesPasswords|TestServerFollowsAClientThatMoves|TestTapServer|TestTapClient|TestReloadKeepsClients"
run="$run|TestSeveralListeners|TestServerMovesItsListeners"
if [ "${2:-}" = all ]; then
	run="$run|TestClientLosesNothingOverRenewals|TestServerRenewals|TestClientInBadWeather|TestTokenMatrix"
fi
export MOONGATE_STOCK=$stock
run="^($run|TestConformance|TestCommandsOfStock)\$"
(cd test && "$programs/test.test" -test.run "$run" -test.parallel 5 -test.timeout 9m) &
test=$!
(cd test/conformance && "$programs/conformance.test" -test.run "$run" -test.parallel 5 -test.timeout 9m) || failed=1
(cd cmd/moongate && "$programs/moongate.test" -test.run '^TestConnect(Ends)?$/^stock$' -test.parallel 5 -test.timeout 5m) || failed=1
wait $test || failed=1
exit ${failed:-0}
