import { useState } from "preact/hooks";
import type { Session } from "../server.ts";
import { sendLogin } from "./data.ts";

export function Login({ onDone }: { onDone(session: Session): void }) {
  const [token, setToken] = useState("");
  const [failure, setFailure] = useState("");
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
      <p>
        Log in with a Kubernetes token. You see the namespaces in which you may list Sluice's objects, and you can
        change nothing here.
      </p>
      <form onSubmit={(event) => void submit(event)}>
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
          required
        />
        {failure !== "" && (
          <p class="bad-text" role="alert">
            {failure}
          </p>
        )}
        <button type="submit" class="button primary" disabled={busy}>
          Log in
        </button>
      </form>
      <p class="quiet-text">
        <code>kubectl create token NAME --duration 8h</code> makes one for a ServiceAccount.
      </p>
    </main>
  );
}
