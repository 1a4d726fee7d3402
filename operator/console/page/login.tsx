import { useState } from "preact/hooks";
import type { LoginFailure } from "../oidc-login.ts";
import type { Session } from "../server.ts";
import { sendLogin } from "./data.ts";

const failures: Readonly<Record<LoginFailure, string>> = {
  denied: "The identity provider did not let you in. Ask its administrators for access to this application.",
  expired: "The login took too long or was started in another window. Try again.",
  unreachable: "The identity provider can't be reached. Try again, or log in with a token.",
  refused: "The login failed. The operator's log says why.",
  too_many_groups: "You are in too many groups for a session. Ask the platform team to list those that count.",
  no_user: "Your login does not say who you are. Ask the platform team which claim it needs.",
  unverified: "Your e-mail address is not verified at the identity provider. Verify it, then log in again.",
};

/** Why the login failed that led here; "" if none did. It is shown once. */
function failureInAddress(): string {
  const given = new URLSearchParams(location.search).get("login") ?? "";
  if (given !== "") history.replaceState(null, "", location.pathname + location.hash);
  return Object.hasOwn(failures, given) ? failures[given as LoginFailure] : "";
}

function Oidc({ label }: { label: string }) {
  return (
    <>
      <a class="button primary" href="oidc/login">
        Log in with {label}
      </a>
      <p class="quiet-text">Or use a token:</p>
    </>
  );
}

export function Login({ oidc, onDone }: { oidc: string | null; onDone(session: Session): void }) {
  const [token, setToken] = useState("");
  const [failure, setFailure] = useState(failureInAddress);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      onDone(await sendLogin(token.trim()));
    } catch (cause) {
      setFailure(cause instanceof Error ? cause.message : String(cause));
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <h1>Sluice</h1>
      <p>You see the namespaces in which you may list Sluice's objects, and you can change nothing here.</p>
      {failure !== "" && (
        <p class="bad-text" role="alert">
          {failure}
        </p>
      )}
      {oidc !== null && <Oidc label={oidc} />}
      <form onSubmit={(event) => void submit(event)}>
        <label for="token">Kubernetes token</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
          required
        />
        <button type="submit" class={oidc === null ? "button primary" : "button"} disabled={busy}>
          Log in
        </button>
      </form>
      <p class="quiet-text">
        <code>kubectl create token NAME --duration 8h</code> makes one for a ServiceAccount.
      </p>
    </main>
  );
}
