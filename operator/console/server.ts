/** The console: a page, and the JSON that it shows. Nothing can be changed through it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { consolePath, protect, serveAssets } from "./assets.ts";
import { type Gate, isLocalHost, isTokenForm, logIn, logOut, maxTokenChars, tokenIn } from "./gate.ts";
import { type ConsoleFacts, Gatherer } from "./gather.ts";
import type { OidcLogin } from "./oidc-login.ts";
import type { ConsoleSource } from "./source.ts";
import { limitedTo, type Viewer } from "./viewer.ts";
import { budgetsView, earliestPeriodMs, visibleBudgets } from "./views/budgets.ts";
import { complianceView } from "./views/compliance.ts";
import { configView } from "./views/config.ts";
import {
  type CostGrouping,
  type CostPeriod,
  costCsv,
  costGroupings,
  costPeriods,
  costSpan,
  costView,
} from "./views/cost.ts";
import { keysView, keyUsageDays } from "./views/keys.ts";
import { overviewDays, overviewOf } from "./views/overview.ts";
import { providersView } from "./views/providers.ts";
import { explainedCalls } from "./views/requests.ts";
import { routesView } from "./views/routes.ts";

export interface ConsoleOptions {
  source: ConsoleSource;
  gate: Gate;
  /** null if there is no login by OpenID Connect. */
  oidc?: OidcLogin | null;
  nowMs(): number;
  /** Receives the reason why data could not be read, which viewers don't see. */
  failed(cause: unknown): void;
}

/** The body of a 401: how to log in. */
export interface LoginOffer {
  message: string;
  /** Label of the button for OpenID Connect; absent if there is no such login. */
  oidc?: string;
}

export interface Session {
  login: Gate["login"];
  user: string;
  /** null for all. */
  namespaces: readonly string[] | null;
}

interface Query {
  namespace?: string;
  search?: string;
  by?: string;
  period?: string;
}

interface Asked {
  facts: ConsoleFacts;
  viewer: Viewer;
  gatherer: Gatherer;
  query: Query;
}

const dayMs = 86_400_000;
const api = `${consolePath}/api`;

const groupingOf = ({ by }: Query): CostGrouping => costGroupings.find((grouping) => grouping === by) ?? "user";
const periodOf = ({ period }: Query): CostPeriod =>
  period !== undefined && Object.hasOwn(costPeriods, period) ? (period as CostPeriod) : "7d";

function costRows({ gatherer, facts, query }: Asked) {
  const { fromMs, toMs } = costSpan(periodOf(query), facts.nowMs);
  return gatherer.usage(fromMs, toMs);
}

/** Page → its data. */
const views: Readonly<Record<string, (asked: Asked) => Promise<object> | object>> = {
  async overview({ facts, viewer, gatherer }) {
    const fromMs = Math.floor(facts.nowMs / dayMs) * dayMs - (overviewDays - 1) * dayMs;
    const [readings, rows] = await Promise.all([gatherer.budgets(), gatherer.usage(fromMs, facts.nowMs)]);
    return overviewOf(facts, readings, rows, viewer);
  },
  providers: ({ facts, viewer }) => providersView(facts, viewer),
  routes: ({ facts, viewer }) => routesView(facts, viewer),
  async keys({ facts, viewer, gatherer, query }) {
    const rows = await gatherer.usage(facts.nowMs - keyUsageDays * dayMs, facts.nowMs);
    return keysView(facts, rows, viewer, query.search ?? "");
  },
  async budgets({ facts, viewer, gatherer }) {
    const fromMs = earliestPeriodMs(visibleBudgets(facts, viewer), facts.nowMs);
    const [readings, rows] = await Promise.all([gatherer.budgets(), gatherer.usage(fromMs, facts.nowMs)]);
    return budgetsView(facts, readings, rows, viewer);
  },
  async cost(asked) {
    const wanted = { by: groupingOf(asked.query), period: periodOf(asked.query) };
    return costView(await costRows(asked), wanted, asked.viewer, asked.facts.nowMs);
  },
  requests: ({ facts, viewer }) => ({ calls: explainedCalls(facts, viewer) }),
  compliance: ({ facts, viewer }) => complianceView(facts, viewer),
  config: ({ facts, viewer, query }) => configView(facts, viewer, query.search ?? ""),
};

const sessionOf = (gate: Gate, { user, namespaces }: Viewer): Session => ({ login: gate.login, user, namespaces });

/** Whether a page of another site sent the request. */
function isForeign({ headers }: FastifyRequest): boolean {
  const site = headers["sec-fetch-site"];
  return site !== undefined && site !== "same-origin";
}

async function logInBy(gate: Gate, request: FastifyRequest, reply: FastifyReply): Promise<object> {
  if (isForeign(request)) return reply.code(403).send({ message: "log in on the console's own page" });
  const token = String((request.body as { token?: unknown } | null)?.token ?? "").trim();
  if (token.length > maxTokenChars)
    return reply
      .code(400)
      .send({ message: `the token is longer than ${maxTokenChars} characters; use a ServiceAccount's` });
  const viewer = isTokenForm(token) ? await gate.viewer(token) : null;
  if (viewer === null) return reply.code(401).send({ message: "the API server does not accept this token" });
  logIn(request, reply, token);
  return sessionOf(gate, viewer);
}

function checkHost(gate: Gate, request: FastifyRequest): string | null {
  if (gate.login !== "none" || isLocalHost(request.headers.host)) return null;
  return "the console has no login here, so it answers only at 127.0.0.1, localhost and [::1]";
}

export function serveConsole(parent: FastifyInstance, options: ConsoleOptions): void {
  const { source, gate, oidc = null, nowMs, failed } = options;
  const gatherer = new Gatherer(source, nowMs);
  void parent.register((app, _options, done) => {
    app.addHook("onRequest", async (request, reply) => {
      protect(reply);
      const refused = checkHost(gate, request);
      if (refused !== null) await reply.code(403).send({ message: refused });
    });
    app.setErrorHandler(async (cause: { statusCode?: number }, _request, reply) => {
      const code = cause.statusCode ?? 500;
      if (code < 500) return reply.code(code).send({ message: "the console does not understand this request" });
      failed(cause);
      return reply.code(503).send({ message: "its data can't be read; the log says why" });
    });
    serveAssets(app);
    app.post(`${api}/login`, (request, reply) => logInBy(gate, request, reply));
    oidc?.serve(app);
    app.post(`${api}/logout`, async (request, reply) => {
      if (isForeign(request)) return reply.code(403).send({ message: "log out on the console's own page" });
      logOut(request, reply);
      return {};
    });
    serveViews(app, gate, gatherer, oidc);
    done();
  });
}

function serveViews(app: FastifyInstance, gate: Gate, gatherer: Gatherer, oidc: OidcLogin | null): void {
  const viewerOf = (request: FastifyRequest): Promise<Viewer | null> => gate.viewer(tokenIn(request));
  const offer: LoginOffer = { message: "log in first", ...(oidc === null ? {} : { oidc: oidc.label }) };
  const refuse = (reply: FastifyReply): FastifyReply => reply.code(401).send(offer);

  app.get(`${api}/session`, async (request, reply) => {
    const viewer = await viewerOf(request);
    return viewer === null ? refuse(reply) : sessionOf(gate, viewer);
  });
  const asked = async (query: Query, viewer: Viewer): Promise<Asked> => ({
    facts: await gatherer.facts(),
    viewer: limitedTo(viewer, query.namespace ?? ""),
    gatherer,
    query,
  });
  for (const [name, view] of Object.entries(views))
    app.get<{ Querystring: Query }>(`${api}/${name}`, async (request, reply) => {
      const viewer = await viewerOf(request);
      return viewer === null ? refuse(reply) : view(await asked(request.query, viewer));
    });
  app.get<{ Querystring: Query }>(`${api}/cost.csv`, async (request, reply) => {
    const viewer = await viewerOf(request);
    if (viewer === null) return refuse(reply);
    const question = await asked(request.query, viewer);
    const by = groupingOf(request.query);
    const name = `sluice-cost-by-${by}-${periodOf(request.query)}.csv`;
    reply.header("content-type", "text/csv; charset=utf-8");
    reply.header("content-disposition", `attachment; filename="${name}"`);
    return costCsv(await costRows(question), by, question.viewer);
  });
}
