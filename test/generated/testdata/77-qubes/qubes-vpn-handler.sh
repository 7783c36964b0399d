#!/bin/sh
exec @D@/ev.sh handler "$@"
