#!/bin/bash
# Starts the node. Needs root, containerd, runc and the binaries named by KUBELET and so on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); . "$here/settings.sh"
mkdir -p "$NODE_HOME"; "$here/config.sh"; "$here/certs.sh"
rm -f "$NODE_HOME"/log/*
for controller in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do mkdir -p "/sys/fs/cgroup/$controller/sluice-e2e"; done
for file in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$file" > "/sys/fs/cgroup/cpuset/sluice-e2e/cpuset.$file"; done
# Otherwise all Pods together weigh as much as one other process of the machine.
echo 8192 > /sys/fs/cgroup/cpu/sluice-e2e/cpu.shares
setsid unshare --net --mount --pid --uts --ipc --fork --mount-proc --kill-child "$here/init.sh" > "$NODE_HOME/log/init.log" 2>&1 < /dev/null &
parent=$!
for _ in $(seq 600); do sleep 0.1; pid=$(pgrep -P "$parent" || true); [ -n "$pid" ] && break; done
# Its first process goes with its parent: nothing of a node that nobody knows of is left.
[ -n "$pid" ] || { kill -9 "$parent"; echo "no first process of the node in a minute" >&2; exit 1; }
echo "$pid" > "$NODE_HOME/init.pid"
