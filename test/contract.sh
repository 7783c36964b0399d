#!/bin/sh
# contract.sh MOONGATE ADDR CLIENT PASSWORD-FILE: what a shell script does with a server, ours or stock's: it connects, waits, lists, kills and branches on exit
# codes. It prints what does not depend on the daemon; the test wants the same from both.
set -u
mg=$1 MOONGATE_ADDR=$2 client=$3 MOONGATE_PASSWORD_FILE=$4 MOONGATE_NO_ASK=1
export MOONGATE_ADDR MOONGATE_PASSWORD_FILE MOONGATE_NO_ASK
try() { # try NAME COMMAND…: runs it and tells its exit code
	name=$1
	shift
	"$@" > out.txt 2> err.txt
	echo "$name: $?"
}
try 'wait for the server' "$mg" wait --state CONNECTED --timeout 20s
cat out.txt
if "$mg" wait --client "$client" --timeout 20s > /dev/null; then echo 'the client is there'; fi
try 'a client that never comes' "$mg" wait --client nobody --timeout 300ms
try 'nobody now' "$mg" wait --client nobody --timeout 0
try 'another state' "$mg" wait --state EXITING --timeout 0
try 'list' "$mg" clients --json --filter "name=$client"
sed -n 's/.*"common_name":"\([^"]*\)".*/\1/p' out.txt
try 'list nobody' "$mg" clients --json --filter nobody
cat out.txt
try 'status' "$mg" status --json
sed -n 's/.*"role":"\([^"]*\)".*/\1/p' out.txt
try 'who would go' "$mg" kill "$client" --dry-run
tail -n 1 out.txt
try 'no such name' "$mg" kill nobody
try 'no such pattern' "$mg" kill 'nobody*'
try 'go' "$mg" kill "$client"
tail -n 1 out.txt
try 'several lines' "$mg" exec verb mute pid
sed 's/=[0-9]*$/=N/' out.txt
try 'an error' "$mg" raw nonsense
try 'wrong usage' "$mg" hold maybe
try 'verbosity' "$mg" verb 4
try 'verbosity is' "$mg" verb --json
cat out.txt
try 'first line only' sh -c "'$mg' log -f -n 5 | head -n 1 | wc -l"
tr -d ' ' < out.txt
if "$mg" -a 127.0.0.1:1 pid > /dev/null 2>&1; then :; elif test $? = 3; then echo 'not there: 3'; fi
for look in state 'state --all' log echo version pid load-stats bytecount clients 'status -o raw' hold verb mute auth-retry \
	'raw pid' 'exec pid state' 'attach -c pid' 'signal usr2' forget-passwords; do
	try "$look" "$mg" $look
done
for refused in 'needok x ok' 'needstr x y' 'username Auth joe' 'exec nonsense' 'attach -c nonsense' 'raw kill'; do
	try "$refused" "$mg" $refused
done
try 'an answer nobody asked for' sh -c "echo x | '$mg' password Auth"
try 'a decision about nobody' sh -c "echo END | '$mg' raw client-auth 77 1"
try 'no password' env MOONGATE_PASSWORD_FILE= "$mg" pid
echo wrong > wrong.pw
try 'wrong password' "$mg" pid --password-file wrong.pw
try 'no file of a password' "$mg" pid --password-file nowhere
try 'output full' sh -c "'$mg' status > /dev/full"
try 'output closed' sh -c "'$mg' status >&-"
try 'input closed' sh -c "'$mg' attach <&-"
pid=$("$mg" pid)
kill -STOP "$pid"
try 'silence' "$mg" pid --reply-timeout 300ms
try 'silence is waited for' "$mg" wait --state CONNECTED --timeout 300ms
kill -CONT "$pid"
try 'it goes on' "$mg" wait --state CONNECTED --timeout 20s
"$mg" log -f -n 1 > follow.txt 2> err.txt &
follower=$!
i=0
while test ! -s follow.txt && test $i -lt 200; do i=$((i + 1)); sleep 0.1; done
kill -KILL "$pid"
wait $follower
echo "it dies under way: $?"
i=0
while "$mg" pid > /dev/null 2>&1 && test $i -lt 100; do i=$((i + 1)); sleep 0.1; done
try 'gone' "$mg" pid
