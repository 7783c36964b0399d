#!/bin/sh
exec @D@/ev.sh server-up
