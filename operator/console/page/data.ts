/** Reads the console's JSON: repeatedly while the page is visible, and at once when the query changes. */
import { useEffect, useState } from "preact/hooks";
import type { LoginOffer, Session } from "../server.ts";

export class NotLoggedIn extends Error {
  /** Label of the button for OpenID Connect; null if there is no such login. */
  readonly oidc: string | null;

  constructor({ message, oidc = null }: { message?: string; oidc?: string | null }) {
    super(message);
    this.oidc = oidc;
  }
}

export async function readJson<T>(path: string, options?: RequestInit): Promise<T> {
  const response = await fetch(`api/${path}`, { ...options, credentials: "same-origin" });
  const body = (await response.json()) as T & Partial<LoginOffer>;
  if (response.status === 401) throw new NotLoggedIn(body);
  if (!response.ok) throw new Error(body.message ?? `the server answered ${response.status}`);
  return body;
}

export function readSession(): Promise<Session> {
  return readJson<Session>("session");
}

export function sendLogin(token: string): Promise<Session> {
  return readJson<Session>("login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
}

export function sendLogout(): Promise<object> {
  return readJson("logout", { method: "POST" });
}

export interface Answer<T> {
  data: T | null;
  /** Why the latest request failed. The data may then be older. */
  failure: string | null;
}

export const refreshMs = 2_000;

/** Polls until it is stopped, and pauses while the page is hidden. */
function askAgainAndAgain<T>(path: string, taken: (data: T) => void, failed: (cause: unknown) => void): () => void {
  let stopped = false;
  let timer = 0;
  const ask = async (): Promise<void> => {
    try {
      const data = document.hidden ? null : await readJson<T>(path);
      if (!stopped && data !== null) taken(data);
    } catch (cause) {
      if (!stopped) failed(cause);
    }
    if (!stopped) timer = window.setTimeout(ask, refreshMs);
  };
  void ask();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** `lost`: called when the login has expired. */
export function useAnswer<T>(path: string, lost: () => void): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T> & { path: string }>({ path, data: null, failure: null });
  useEffect(() => {
    const failed = (cause: unknown): void => {
      if (cause instanceof NotLoggedIn) lost();
      const failure = cause instanceof Error ? cause.message : String(cause);
      setAnswer((before) => ({ path, data: before.path === path ? before.data : null, failure }));
    };
    return askAgainAndAgain<T>(path, (data) => setAnswer({ path, data, failure: null }), failed);
  }, [path]);
  return answer.path === path ? answer : { data: null, failure: null };
}
