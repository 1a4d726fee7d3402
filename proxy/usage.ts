/** What `sluice proxy --help` prints. */
import { signalUsage } from "./signal-settings.ts";
import { logLevels } from "./telemetry/log.ts";

export const proxyUsage = `sluice proxy: serve LLM calls from a rendered config

  --config-dir DIR     folder with the rendered config (default /etc/sluice/config)
  --host ADDRESS       listen on (default ::, all IPv4 and IPv6 addresses)
  --port N             traffic (default 8080; 0 picks one)
  --http1 Own|Node     HTTP/1.1: the gateway's own, or node:http and undici (default Own; docs/performance.md)
  --status-host ADDR   status listens on (default ::)
  --status-port N      probes, metrics, status (default 9090)
  --log-level LEVEL    ${logLevels.join(", ")} (default info)
  --drain-ms N         time for calls under way after SIGTERM (default 25000)
  --drain-delay-ms N   part of it: how long calls are still accepted while kept-alive connections are asked to close
                       (default 5000; at most half of --drain-ms)
  --stream-keep-alive-ms N   a stream whose first content is late gets a comment this often (default 15000; 0: never)
  --stream-pause-ms N  chunks of a stream that follow the last one within this time are sent together (default 10;
                       0: each at once)
  --stalled-client-ms N   a caller that reads nothing of its stream for this long is cut off (default 60000)
  --web-sockets B      whether /v1/responses may be opened as a WebSocket (default true; 426 otherwise)
  --web-socket-idle-ms N   a WebSocket without a response for this long is closed (default 300000)
  --web-socket-max-ms N    longest lifetime of a WebSocket (default 3600000)
  --max-web-sockets N      WebSockets open at the same time (default 1000)
  --web-socket-memory-bytes N   memory for earlier turns of all WebSockets together (default 64 MiB)
  --max-held-body-bytes N     memory for request bodies of all callers together (default 256 MiB; docs/limits.md)
  --max-caller-body-bytes N   the same for one caller (default 64 MiB)
  --min-upload-bytes-per-second N   a slower body is cut off (default 256; 0: no minimum)
  --text-threads N     threads that read large texts for guard and masking, started when needed (default 2; 0: none)
  --max-reply-bytes N  a longer whole answer, or event of a stream, is refused (default 64 MiB)
  --max-stream-bytes N a longer stream is cut off (default 256 MiB)
  --poll-ms N          how often the folder is read (default 2000)
  --cache-bytes N      memory for cached answers (default 64 MiB)
  --cache-store S      Memory (default) or Shared: cached answers at --cache-url, sealed with keys that are read from
                       SLUICE_SEALING_KEYS (docs/caching.md)
  --cache-url URL      store of shared answers, in the forms of --state-url (default: that one)
  --cache-ca F         certificates to trust for TLS to it; its password is read from SLUICE_CACHE_PASSWORD
  --cloud-metadata B   ask the node's metadata server for cloud identities (default false; docs/cloud-identity.md)
  --country-database F file in MaxMind's format, for policies that ask for a country
  --state-url URL      store that proxies share: redis://, rediss://, redis+sentinel://, redis+cluster:// (docs/fleet-state.md)
  --state-ca F         certificates to trust for TLS to it; its password is read from SLUICE_STATE_PASSWORD
  --state-cert F       certificate of the proxy's own for TLS to it, and --state-key F its key; --cache-cert and --cache-key
                       for --cache-url
  --state-timeout-ms N time in which the store should answer (default 50; docs/fleet-state.md)
  --state-file F       without a store: file in which spending survives a restart
  --ledger-days N      how many days the usage ledger keeps (default 62)
  --tls-cert F         certificate of the traffic listener; read again when it changes (docs/tls.md)
  --tls-key F          its key
  --tls-client-ca F    ask clients for a certificate of these authorities
  --tls-client-crl F   revocation lists of these authorities
  --tls-client-auth M  Required (default) or Optional
  --audit-dir DIR      folder for audit files (docs/audit.md)
  --audit-max-bytes N  a new file begins at this size (default 64 MiB)
  --audit-retention-days N   older records are deleted (default 0: never)
  --audit-redis true   audit records into a stream at --state-url
  --audit-otlp-url URL audit records to a collector's /v1/logs; headers are read from SLUICE_AUDIT_OTLP_HEADERS
  --audit-otlp-protocol P    http/json (default), http/protobuf, or grpc with a URL without a path
  --audit-otlp-ca F    certificates to trust for TLS to it, instead of the system's
  --audit-stdout true  audit records on stdout
                       the key of their chain is read from SLUICE_AUDIT_KEY; bodies in them are sealed with
                       SLUICE_SEALING_KEYS, where there are any
${signalUsage}

Each flag can be given in the environment, as SLUICE_CONFIG_DIR and so on.`;
