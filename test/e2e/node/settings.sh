# Addresses of the node, by family. Sourced by the other scripts.
# NODE_HOME: folder for all state. NODE_FAMILY: ipv4 or ipv6.
: "${NODE_HOME:?}" "${NODE_FAMILY:=ipv4}"
# Each node has a control group of its own, so that several can run on one machine.
cgroup=sluice-e2e-$(basename "$NODE_HOME")
# Where the hierarchies of control groups are: one in version 2, one for each controller in version 1.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  hierarchies=/sys/fs/cgroup
else
  hierarchies=$(printf '/sys/fs/cgroup/%s ' cpu cpuacct cpuset memory devices freezer blkio pids systemd)
fi
if [ "$NODE_FAMILY" = ipv6 ]; then
  node_ip=fd77::1 node_net=fd77::1/64 node_host='[fd77::1]'
  pod_net=fd00:244::/64 service_net=fd00:96::/112 api_ip=fd00:96::1 any=:: default=::/0
else
  node_ip=10.77.0.1 node_net=10.77.0.1/24 node_host=10.77.0.1
  pod_net=10.244.0.0/24 service_net=10.96.0.0/16 api_ip=10.96.0.1 any=0.0.0.0 default=0.0.0.0/0
fi
