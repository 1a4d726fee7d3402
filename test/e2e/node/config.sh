#!/bin/bash
# Configuration files of containerd, kubelet and kube-proxy.
set -euo pipefail
here=$(dirname "$0"); . "$here/settings.sh"
cd "$NODE_HOME"; mkdir -p cni etcd kubelet containerd run log
cat > cni/10-bridge.conflist <<JSON
{ "cniVersion": "1.0.0", "name": "pods", "plugins": [
  { "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
    "ipam": { "type": "host-local", "dataDir": "$NODE_HOME/cni-state", "ranges": [[{ "subnet": "$pod_net" }]], "routes": [{ "dst": "$default" }] } },
  { "type": "portmap", "capabilities": { "portMappings": true } } ] }
JSON
cat > containerd.toml <<TOML
version = 2
root = "$NODE_HOME/containerd"
state = "$NODE_HOME/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$NODE_HOME/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  # Without CAP_SYS_RESOURCE scores can't be lowered.
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$NODE_HOME/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "/usr/sbin/runc"
        Root = "$NODE_HOME/run/runc"
TOML
cat > kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: "$any"
healthzBindAddress: "$node_ip"
authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: $NODE_HOME/certs/ca.crt } }
authorization: { mode: Webhook }
tlsCertFile: $NODE_HOME/certs/kubelet.crt
tlsPrivateKeyFile: $NODE_HOME/certs/kubelet.key
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$NODE_HOME/run/containerd.sock
clusterDNS: ["$node_ip"]
clusterDomain: cluster.local
resolvConf: $NODE_HOME/resolv.conf
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
evictionHard: { memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%" }
podLogsDir: $NODE_HOME/podlogs
volumePluginDir: $NODE_HOME/volplugins
maxPods: 60
enforceNodeAllocatable: [pods]
YAML
: > resolv.conf
cat > kube-proxy.yaml <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: { kubeconfig: $NODE_HOME/certs/proxy.kubeconfig }
clusterCIDR: "$pod_net"
hostnameOverride: node1
bindAddress: "$any"
oomScoreAdj: 0
conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
YAML
