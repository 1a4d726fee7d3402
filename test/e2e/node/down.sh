#!/bin/bash
# Ends the node, and removes its state.
kill -9 "$(cat "$NODE_HOME/init.pid" 2>/dev/null)" 2>/dev/null
for _ in $(seq 50); do pgrep -f "$NODE_HOME/run/containerd" > /dev/null || break; sleep 0.1; done
rm -f /run/netns/cni-*
for controller in cpu cpuacct cpuset memory devices freezer blkio pids systemd unified; do
  find "/sys/fs/cgroup/$controller/sluice-e2e" -depth -type d -exec rmdir {} \; 2>/dev/null
done
rm -rf --one-file-system "$NODE_HOME"
exit 0
