#!/bin/bash
# One authority for everything, and client certificates with the names that kubeadm gives them.
set -euo pipefail
here=$(dirname "$0"); . "$here/settings.sh"
certs=$NODE_HOME/certs; mkdir -p "$certs"; cd "$certs"
[ -f ca.crt ] && exit 0
key() { openssl ecparam -genkey -name prime256v1 -noout -out "$1" 2>/dev/null; }
key ca.key; openssl req -x509 -new -key ca.key -days 30 -subj /CN=e2e-ca -out ca.crt 2>/dev/null
key sa.key; openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
issue() { # name, subject, alternative names
  key "$1.key"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr" 2>/dev/null
  printf 'extendedKeyUsage=serverAuth,clientAuth\n%s\n' "${3:+subjectAltName=$3}" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}
service=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
issue apiserver /CN=kube-apiserver "$service,DNS:localhost,IP:127.0.0.1,IP:$api_ip,IP:$node_ip"
issue kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
issue kubelet /O=system:nodes/CN=system:node:node1 "DNS:node1,IP:$node_ip"
issue admin /O=system:masters/CN=admin
issue controller-manager /CN=system:kube-controller-manager
issue scheduler /CN=system:kube-scheduler
issue proxy /CN=system:kube-proxy
# The API server's own, for the servers of further APIs.
issue front-proxy-client /CN=front-proxy-client
issue metrics-server /CN=metrics-server "DNS:metrics-server.kube-system.svc,IP:$node_ip"
for user in kubelet admin controller-manager scheduler proxy; do
  cat > "$user.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{ name: e2e, cluster: { server: "https://$node_host:6443", certificate-authority: $certs/ca.crt } }]
users: [{ name: user, user: { client-certificate: $certs/$user.crt, client-key: $certs/$user.key } }]
contexts: [{ name: e2e, context: { cluster: e2e, user: user } }]
current-context: e2e
YAML
  chmod 600 "$user.kubeconfig"
done
