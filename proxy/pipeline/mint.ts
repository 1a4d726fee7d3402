/** POST /v1/sluice/tokens: a key with `clientTokens` gets a short-lived token for a client that can't keep the key. */
import { z } from "zod";
import type { Identity } from "../call/identity.ts";
import { allowsModel } from "../config/model-pattern.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import { parseJson } from "../wire/json.ts";
import type { Unambiguous } from "./proof.ts";
import { servesModel } from "./route.ts";

const maxBodyBytes = 16_384;
/** Slowest rate for such a small body, which usually arrives in one piece. */
const minBytesPerSecond = 256;
const maxModels = 32;

const wanted = z.strictObject({
  /** Seconds. */
  expires_in: z.int().min(1).optional(),
  models: z.array(z.string().min(1).max(128)).min(1).max(maxModels).optional(),
  origin: z.string().min(1).max(256).optional(),
});
type Wanted = z.output<typeof wanted>;

async function readWanted(client: ClientConnection): Promise<Wanted | Failure> {
  const body = await client.readBody(maxBodyBytes, "", { minBytesPerSecond });
  if (isFailure(body)) return body;
  if (body.length === 0) return {};
  let json: unknown;
  try {
    json = parseJson(body.toString("utf8"));
  } catch {
    return failure("invalid_json", "The request body is not valid JSON.");
  }
  const parsed = wanted.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const param = issue?.path.map(String).join(".") ?? "";
  return failure(
    "invalid_value",
    `${param === "" ? "The body" : `\`${param}\``}: ${issue?.message ?? "invalid"}. It may have expires_in, models and origin.`,
    {
      ...(param === "" ? {} : { param }),
    },
  );
}

const noRight = failure(
  "access_denied",
  "This API key may not make client tokens. Its owner can allow that in spec.clientTokens of the ApiKey.",
);

export interface MintedToken {
  token: string;
  expires_in: number;
  /** Epoch seconds. */
  expires_at: number;
  models: string[] | null;
  origin: string | null;
}

export async function mint(
  client: Unambiguous,
  identity: Identity,
  snapshot: Snapshot,
  nowMs: number,
): Promise<MintedToken | Failure> {
  if (identity.anonymous) return identity.failure;
  const { key } = identity;
  const right = key.clientTokens;
  if (right === undefined) return noRight;
  const requested = await readWanted(client);
  if (isFailure(requested)) return requested;
  const foreign = (requested.models ?? []).find((name) => !allowsModel(key.models, name));
  if (foreign !== undefined)
    return failure("model_not_allowed", `This API key is not allowed to use ${JSON.stringify(foreign)}.`, {
      param: "models",
    });
  const unserved = (requested.models ?? []).find((name) => !servesModel(snapshot, name, identity));
  if (unserved !== undefined)
    return failure("model_not_found", `No policy serves ${JSON.stringify(unserved)} to this API key.`, {
      param: "models",
    });
  const origin = requested.origin ?? null;
  if (right.origins !== null && (origin === null || !right.origins.includes(origin))) {
    return failure(
      "origin_not_allowed",
      `Set \`origin\` to one that this API key may make tokens for: ${right.origins.join(", ")}.`,
      { param: "origin" },
    );
  }
  const lifeMs = Math.min(
    (requested.expires_in ?? Number.POSITIVE_INFINITY) * 1000,
    right.maxLifeMs,
    (key.expiresAtMs ?? Number.POSITIVE_INFINITY) - nowMs,
  );
  const expiresAtMs = nowMs + lifeMs;
  const token = snapshot.clientTokens.mint(
    { key: key.id, models: requested.models ?? null, origin, expiresAtMs },
    key.digest,
  );
  return {
    token,
    expires_in: Math.floor(lifeMs / 1000),
    expires_at: Math.floor(expiresAtMs / 1000),
    models: requested.models ?? null,
    origin,
  };
}
