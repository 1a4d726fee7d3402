#!/bin/bash
# First process of the node, in network, mount and process namespaces of its own: everything dies with it.
set -u
here=$(dirname "$0"); . "$here/settings.sh"
mount --make-rprivate /
# Paths that are the same for every node: each gets folders of its own in their place.
for path in /run/netns /var/lib/kubelet; do mkdir -p "$path"; mount -t tmpfs node "$path"; done
# kubelet writes settings of the whole machine: it gets files in their place.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=$NODE_HOME/run/proc-$(echo "${setting%=*}" | tr / _); echo "${setting#*=}" > "$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done
mount --bind "$NODE_HOME/kubelet" "$NODE_HOME/kubelet"; mount --make-rshared "$NODE_HOME/kubelet"
ip link set lo up
ip link add node0 type veth peer name node0p; ip link set node0p up
[ "$NODE_FAMILY" = ipv6 ] && nodad=nodad || nodad=
ip addr add "$node_net" dev node0 $nodad; ip link set node0 up; ip route add default dev node0 src "$node_ip"
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1 2>/dev/null
echo "nameserver $node_ip" > "$NODE_HOME/run/resolv"; mount --bind "$NODE_HOME/run/resolv" /etc/resolv.conf
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
run() { name=$1; shift; "$@" >> "$NODE_HOME/log/$name.log" 2>&1 & echo $! > "$NODE_HOME/run/$name.pid"; }
certs=$NODE_HOME/certs
run containerd containerd -c "$NODE_HOME/containerd.toml"
run etcd "$ETCD" --data-dir="$NODE_HOME/etcd" --unsafe-no-fsync --log-level=warn --listen-client-urls=http://127.0.0.1:2379 \
  --advertise-client-urls=http://127.0.0.1:2379 --listen-peer-urls=http://127.0.0.1:2380 \
  --initial-advertise-peer-urls=http://127.0.0.1:2380 --initial-cluster=default=http://127.0.0.1:2380
run apiserver "$KUBE_APISERVER" --etcd-servers=http://127.0.0.1:2379 --bind-address="$any" --advertise-address="$node_ip" --secure-port=6443 \
  --tls-cert-file="$certs/apiserver.crt" --tls-private-key-file="$certs/apiserver.key" --client-ca-file="$certs/ca.crt" \
  --service-cluster-ip-range="$service_net" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-signing-key-file="$certs/sa.key" \
  --service-account-key-file="$certs/sa.pub" --kubelet-client-certificate="$certs/kubelet-client.crt" --kubelet-client-key="$certs/kubelet-client.key" \
  --kubelet-certificate-authority="$certs/ca.crt" --kubelet-preferred-address-types=InternalIP \
  --requestheader-client-ca-file="$certs/ca.crt" --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User \
  --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file="$certs/front-proxy-client.crt" --proxy-client-key-file="$certs/front-proxy-client.key"
until curl -sgf --cacert "$certs/ca.crt" --cert "$certs/admin.crt" --key "$certs/admin.key" "https://$node_host:6443/readyz" > /dev/null; do sleep 0.2; done
as() { echo "--kubeconfig=$certs/$1.kubeconfig --authentication-kubeconfig=$certs/$1.kubeconfig --authorization-kubeconfig=$certs/$1.kubeconfig"; }
run controller-manager "$KUBE_CONTROLLER_MANAGER" $(as controller-manager) --use-service-account-credentials=true --root-ca-file="$certs/ca.crt" \
  --service-account-private-key-file="$certs/sa.key" --cluster-cidr="$pod_net" --allocate-node-cidrs=false --leader-elect=false --bind-address=127.0.0.1 \
  --horizontal-pod-autoscaler-sync-period=5s --horizontal-pod-autoscaler-initial-readiness-delay=5s --horizontal-pod-autoscaler-cpu-initialization-period=10s
run scheduler "$KUBE_SCHEDULER" $(as scheduler) --leader-elect=false --bind-address=127.0.0.1
run kubelet "$KUBELET" --config="$NODE_HOME/kubelet.yaml" --kubeconfig="$certs/kubelet.kubeconfig" --root-dir="$NODE_HOME/kubelet" --hostname-override=node1 --node-ip="$node_ip"
run kube-proxy "$KUBE_PROXY" --config="$NODE_HOME/kube-proxy.yaml"
run dns python3 "$here/dns.py" "$node_ip" "$node_host" "$certs"
wait
