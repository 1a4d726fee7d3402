#!/bin/bash
# Starts the node. Needs root, containerd, runc and the binaries named by KUBELET and so on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); . "$here/settings.sh"
mkdir -p "$NODE_HOME"; "$here/config.sh"; "$here/certs.sh"
rm -f "$NODE_HOME"/log/*
modprobe br_netfilter 2>/dev/null || true
for hierarchy in $hierarchies; do mkdir -p "$hierarchy/$cgroup"; done
# Otherwise all Pods together weigh as much as one other process of the machine.
if [ "$hierarchies" = /sys/fs/cgroup ]; then
  echo "+cpu +cpuset +memory +pids" > /sys/fs/cgroup/cgroup.subtree_control
  echo 800 > "/sys/fs/cgroup/$cgroup/cpu.weight"
else
  for file in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$file" > "/sys/fs/cgroup/cpuset/$cgroup/cpuset.$file"; done
  echo 8192 > "/sys/fs/cgroup/cpu/$cgroup/cpu.shares"
fi
setsid unshare --net --mount --pid --uts --ipc --fork --mount-proc --kill-child "$here/init.sh" > "$NODE_HOME/log/init.log" 2>&1 < /dev/null &
parent=$!
for _ in $(seq 600); do sleep 0.1; pid=$(pgrep -P "$parent" || true); [ -n "$pid" ] && break; done
# Its first process goes with its parent: nothing of a node that nobody knows of is left.
[ -n "$pid" ] || { kill -9 "$parent"; echo "no first process of the node in a minute" >&2; exit 1; }
echo "$pid" > "$NODE_HOME/init.pid"
