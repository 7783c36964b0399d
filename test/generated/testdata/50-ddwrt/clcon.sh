#!/bin/sh
exec @D@/ev.sh clcon "$@"
