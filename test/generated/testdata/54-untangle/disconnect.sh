#!/bin/sh
exec @D@/ev.sh disconnect
