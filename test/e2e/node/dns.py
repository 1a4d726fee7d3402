#!/usr/bin/env python3
"""The cluster's DNS: addresses of Services, and of headless Services' ready endpoints. No forwarding."""
import json
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.request

node_ip, node_host, certs = sys.argv[1:]
family = socket.AF_INET6 if ":" in node_ip else socket.AF_INET
record_type = 28 if ":" in node_ip else 1
context = ssl.create_default_context(cafile=f"{certs}/ca.crt")
context.load_cert_chain(f"{certs}/admin.crt", f"{certs}/admin.key")
addresses = {}


def get(path):
    return json.load(urllib.request.urlopen(f"https://{node_host}:6443{path}", context=context, timeout=10))["items"]


def endpoints_of(service, slices):
    meta = service["metadata"]
    for endpoint_slice in slices:
        labels = endpoint_slice["metadata"].get("labels", {})
        if endpoint_slice["metadata"]["namespace"] != meta["namespace"]:
            continue
        if labels.get("kubernetes.io/service-name") != meta["name"]:
            continue
        for endpoint in endpoint_slice.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready", True):
                yield from endpoint["addresses"]


def refresh():
    global addresses
    while True:
        try:
            table = {}
            slices = get("/apis/discovery.k8s.io/v1/endpointslices")
            for service in get("/api/v1/services"):
                meta = service["metadata"]
                cluster_ip = service["spec"].get("clusterIP")
                headless = not cluster_ip or cluster_ip == "None"
                name = f"{meta['name']}.{meta['namespace']}.svc.cluster.local"
                table[name] = list(endpoints_of(service, slices)) if headless else [cluster_ip]
            addresses = table
        except Exception as error:
            print(error, flush=True)
        time.sleep(1)


def answer(query):
    labels, offset = [], 12
    while query[offset]:
        end = offset + 1 + query[offset]
        labels.append(query[offset + 1 : end].decode().lower())
        offset = end
    offset += 1
    name = ".".join(labels)
    (wanted,) = struct.unpack(">H", query[offset : offset + 2])
    found = addresses.get(name, []) if wanted == record_type else []
    packed = [socket.inet_pton(family, address) for address in found]
    records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", record_type, 1, 5, len(data)) + data for data in packed)
    flags = 0x8580 | (0 if name in addresses else 3)
    return query[:2] + struct.pack(">HHHHH", flags, 1, len(packed), 0, 0) + query[12 : offset + 4] + records


def serve_tcp():
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((node_ip, 53))
    listener.listen(16)
    while True:
        connection, _ = listener.accept()
        try:
            (length,) = struct.unpack(">H", connection.recv(2))
            reply = answer(connection.recv(length))
            connection.sendall(struct.pack(">H", len(reply)) + reply)
        except Exception as error:
            print(error, flush=True)
        connection.close()


threading.Thread(target=refresh, daemon=True).start()
threading.Thread(target=serve_tcp, daemon=True).start()
listener = socket.socket(family, socket.SOCK_DGRAM)
listener.bind((node_ip, 53))
while True:
    query, peer = listener.recvfrom(4096)
    try:
        listener.sendto(answer(query), peer)
    except Exception as error:
        print(error, flush=True)
