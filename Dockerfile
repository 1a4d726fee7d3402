# syntax=docker/dockerfile:1
# One image for operator, proxy, sidecar and command line: Node.js, the bundled code, and nothing else. No shell, no npm.
# Pin the base by its digest with --build-arg NODE_IMAGE=node:24-slim@sha256:…
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No install scripts: nothing that is built here needs one.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY crds crds
COPY cli cli
COPY operator operator
COPY proxy proxy
RUN node cli/bundle.ts /image/app
COPY LICENSE /image/app/
# Node.js, the libraries that it is linked to, and a user. `sluice` is on PATH for `kubectl exec`.
RUN set -eu; \
    node="$(readlink -f "$(command -v node)")"; \
    mkdir -p /image/usr/local/bin /image/etc; \
    cp "$node" /image/usr/local/bin/node; \
    for library in $(ldd "$node" | grep -o '/[^ ]*'); do \
      mkdir -p "/image$(dirname "$library")"; cp -L "$library" "/image$library"; \
    done; \
    ln -s /app/main.mjs /image/usr/local/bin/sluice; \
    chmod 755 /image/app/main.mjs; \
    echo 'node:x:1000:1000::/:/usr/local/bin/node' > /image/etc/passwd; \
    echo 'node:x:1000:' > /image/etc/group; \
    echo 'hosts: files dns' > /image/etc/nsswitch.conf

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="LLM gateway operated with kubectl, Helm and Argo CD" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image /
ENV NODE_ENV=production PATH=/usr/local/bin
# Nothing is written: the root file system may be read-only.
USER 1000:1000
EXPOSE 8080 9090 8081
ENTRYPOINT ["/usr/local/bin/node", "/app/main.mjs"]
