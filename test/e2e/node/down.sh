#!/bin/bash
# Ends the node, and removes its state.
here=$(cd "$(dirname "$0")" && pwd); . "$here/settings.sh"
kill -9 "$(cat "$NODE_HOME/init.pid" 2>/dev/null)" 2>/dev/null
for _ in $(seq 50); do pgrep -f "$NODE_HOME/run/containerd" > /dev/null || break; sleep 0.1; done
for hierarchy in $hierarchies /sys/fs/cgroup/unified; do
  find "$hierarchy/$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null
done
rm -rf --one-file-system "$NODE_HOME"
exit 0
