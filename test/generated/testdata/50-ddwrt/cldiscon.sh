#!/bin/sh
exec @D@/ev.sh cldiscon "$@"
