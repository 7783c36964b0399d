#!/bin/sh
exec @D@/ev.sh connect
