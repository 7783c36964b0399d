#!/bin/sh
exec @D@/ev.sh route-down "$@"
