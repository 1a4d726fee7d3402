import { source as agentgateway } from "./agentgateway/index.ts";
import { source as aiGateway } from "./ai-gateway/index.ts";
import { source as bifrost } from "./bifrost/index.ts";
import { source as envoyAiGateway } from "./envoy-ai-gateway/index.ts";
import { source as kong } from "./kong/index.ts";
import { source as litellm } from "./litellm/index.ts";
import { source as portkey } from "./portkey/index.ts";
import type { ImportSource } from "./source.ts";

/** The configurations that `sluice import` reads. */
export const importSources: readonly ImportSource[] = [
  agentgateway,
  aiGateway,
  bifrost,
  envoyAiGateway,
  kong,
  litellm,
  portkey,
];
