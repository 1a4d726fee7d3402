# One image for operator, proxy and command line. Node runs the TypeScript as it is, so nothing is built.
FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# No install scripts: none of what runs here needs one, and the `node` package's would fetch a second Node.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/node node_modules/node-bin-* node_modules/.bin/node

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY crds crds
COPY cli cli
COPY operator operator
COPY proxy proxy
# The image's own `node` user. Nothing is written: the root file system may be read-only.
USER 1000:1000
EXPOSE 8080 9090 8081
ENTRYPOINT ["node", "/app/cli/main.ts"]
