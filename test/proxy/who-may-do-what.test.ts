/** Every caller × policy × place, compared with one oracle: the first check that refuses decides the answer. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { pastDayTurn } from "../harness/day-turn.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { countryDatabase } from "../harness/mmdb.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const clearOf = (name: string): string => `slc_${name.padEnd(16, "0")}`;

interface Caller {
  role: string;
  /** Whether the role may call models; null if the role is not defined. */
  mayUse: boolean | null;
  team?: string;
  tags?: string[];
  models?: string[];
  revoked?: boolean;
}

const callers: Record<string, Caller | null> = {
  admin: { role: "admin", mayUse: true },
  developer: { role: "developer", mayUse: true, team: "search" },
  scientist: { role: "data-scientist", mayUse: true, tags: ["internal"] },
  reader: { role: "readonly", mayUse: false },
  narrow: { role: "developer", mayUse: true, models: ["everyone", "office"] },
  intern: { role: "intern", mayUse: null },
  fired: { role: "admin", mayUse: true, revoked: true },
  nobody: null,
};

const today = new Date().getUTCDay();
const dayNames = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const whole = { from: "00:00", to: "24:00", timeZone: "UTC" };
const others = dayNames.filter((_, index) => index !== today && index !== (today + 1) % 7);

interface Rules {
  roles?: string[];
  teams?: string[];
  tags?: string[];
  networks?: string[];
  countries?: { allow?: string[]; deny?: string[] };
  hours?: object;
  consent?: { header: string };
}

const policies: Record<string, { access: Rules; closed?: boolean }> = {
  everyone: { access: {} },
  admins: { access: { roles: ["admin"] } },
  team: { access: { teams: ["search"] } },
  tagged: { access: { tags: ["internal"] } },
  office: { access: { networks: ["203.0.113.0/24"] } },
  domestic: { access: { countries: { allow: ["DE"] } } },
  "by-day": { access: { hours: { ...whole, days: [dayNames[today], dayNames[(today + 1) % 7]] } } },
  "by-night": { access: { hours: { ...whole, days: others } }, closed: true },
  agreed: { access: { consent: { header: "x-consent" } } },
  fortress: {
    access: {
      roles: ["admin", "data-scientist"],
      networks: ["203.0.113.0/24"],
      countries: { deny: ["FR"] },
      consent: { header: "x-consent" },
    },
  },
};

const places: Record<string, { address: string; country: string | null; consent: boolean }> = {
  "the office, with consent": { address: "203.0.113.9", country: "DE", consent: true },
  "the office": { address: "203.0.113.9", country: "DE", consent: false },
  abroad: { address: "198.51.100.9", country: "FR", consent: true },
  nowhere: { address: "192.0.2.9", country: null, consent: true },
};

/** What policies require of the caller. */
function ofCaller(caller: Caller | null, model: string, rules: Rules): string | null {
  if (caller === null) return "missing_api_key";
  if (caller.revoked) return "revoked_api_key";
  if (caller.mayUse === null) return "unknown_role";
  if (!caller.mayUse) return "permission_denied";
  if (caller.models !== undefined && !caller.models.includes(model)) return "model_not_allowed";
  const fits =
    (rules.roles?.includes(caller.role) ?? true) &&
    (rules.teams?.includes(caller.team ?? "") ?? true) &&
    (rules.tags?.some((tag) => caller.tags?.includes(tag)) ?? true);
  return fits ? null : "access_denied";
}

/** What policies require of the place and the time. */
function ofPlace(place: (typeof places)[string], rules: Rules, closed: boolean): string | null {
  if (rules.networks !== undefined && place.address !== "203.0.113.9") return "network_not_allowed";
  if (rules.countries !== undefined && place.country === null) return "country_unknown";
  const { allow, deny } = rules.countries ?? {};
  if (
    place.country !== null &&
    ((allow !== undefined && !allow.includes(place.country)) || deny?.includes(place.country))
  )
    return "country_not_allowed";
  if (closed) return "outside_allowed_hours";
  return rules.consent !== undefined && !place.consent ? "consent_required" : null;
}

describe("who may do what", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let folder: string;
  const expected = new Map<string, number>();

  before(async () => {
    // Near midnight the table would span two days.
    await pastDayTurn();
    folder = await temporaryFolder("who");
    await writeFile(join(folder, "country.mmdb"), countryDatabase({ "203.0.113.0/24": "DE", "198.51.100.0/24": "FR" }));
    await writeFile(join(folder, "settings.yaml"), stringify({ origins: { trustedProxies: ["127.0.0.1"] } }));
    upstream = await startUpstream();
    gateway = await startGateway(
      [
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: "sk-upstream" }),
        ...Object.entries(policies).map(([name, { access }]) =>
          policy(name, {
            match: { models: [name] },
            access,
            logging: { statistics: false },
            routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
          }),
        ),
        ...Object.entries(callers).flatMap(([name, caller]) => {
          if (caller === null) return [];
          const { mayUse: _, ...spec } = caller;
          return key(name, clearOf(name), spec);
        }),
      ],
      ["--settings", join(folder, "settings.yaml"), "--country-database", join(folder, "country.mmdb")],
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    removeFolder(folder);
  });

  for (const [who, caller] of Object.entries(callers)) {
    for (const [model, { access, closed }] of Object.entries(policies)) {
      it(`${who} calls ${model} from ${Object.keys(places).length} places`, async () => {
        for (const [where, place] of Object.entries(places)) {
          const code = ofCaller(caller, model, access) ?? ofPlace(place, access, closed ?? false) ?? "ok";
          const id = `${who}-${model}-${where.replaceAll(/[^a-z]/g, "")}`;
          const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
            method: "POST",
            headers: {
              "content-type": "application/json",
              "x-forwarded-for": place.address,
              "x-request-id": id,
              ...(caller === null ? {} : { authorization: `Bearer ${clearOf(who)}` }),
              ...(place.consent ? { "x-consent": "true" } : {}),
            },
            body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
          });
          const { error } = (await answer.json()) as { error?: { code: string; message: string } };
          assert.equal(error?.code ?? "ok", code, where);
          assert.equal(answer.status, code === "ok" ? 200 : code.endsWith("_api_key") ? 401 : 403, where);
          if (code === "ok") continue;
          assert.ok((error?.message.length ?? 0) > 20);
          expected.set(code, (expected.get(code) ?? 0) + 1);
          // Refusals are logged with user, address and reason, even if the policy logs no calls.
          const line = await eventually(() => gateway.logs.find((log) => log["request_id"] === id));
          assert.deepEqual(
            [line["code"], line["address"], line["user"]],
            [code, place.address, caller === null ? "" : `${who}@example.com`],
          );
        }
      });
    }
  }

  it("counts every refusal once, under its reason", async () => {
    const metrics = await gateway.metrics();
    const counted = new Map(
      [...metrics.matchAll(/ai_gateway_unauthorized_attempts\{reason="([a-z_]+)"\} (\d+)/g)].map((found) => [
        found[1],
        Number(found[2]),
      ]),
    );
    assert.deepEqual(Object.fromEntries([...counted].sort()), Object.fromEntries([...expected].sort()));
    assert.ok(expected.size >= 10, [...expected.keys()].join());
  });
});
