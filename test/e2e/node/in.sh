#!/bin/bash
# Runs a command in the node's namespaces.
exec nsenter -t "$(cat "$NODE_HOME/init.pid")" -n -m -p -u -i --wd="$PWD" -- "$@"
