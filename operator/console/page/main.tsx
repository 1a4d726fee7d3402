/** The console: navigation, login, and the page for the current URL. */
import { type ComponentType, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Session } from "../server.ts";
import { NotLoggedIn, readSession, sendLogout } from "./data.ts";
import { Login } from "./login.tsx";
import { BudgetsPage } from "./pages/budgets.tsx";
import { CompliancePage } from "./pages/compliance.tsx";
import { ConfigPage } from "./pages/config.tsx";
import { CostPage } from "./pages/cost.tsx";
import { KeysPage } from "./pages/keys.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import type { PageProps } from "./pages/page.ts";
import { ProvidersPage } from "./pages/providers.tsx";
import { RequestsPage } from "./pages/requests.tsx";
import { RoutesPage } from "./pages/routes.tsx";
import { nextTheme, Theme, type ThemeName, themeNow } from "./theme.tsx";

const pages: Readonly<Record<string, { title: string; Page: ComponentType<PageProps> }>> = {
  overview: { title: "Overview", Page: OverviewPage },
  requests: { title: "Requests", Page: RequestsPage },
  routes: { title: "Routes", Page: RoutesPage },
  providers: { title: "Providers", Page: ProvidersPage },
  keys: { title: "Keys", Page: KeysPage },
  budgets: { title: "Budgets", Page: BudgetsPage },
  cost: { title: "Cost", Page: CostPage },
  compliance: { title: "Compliance", Page: CompliancePage },
  config: { title: "Config", Page: ConfigPage },
};

function pageNow(): string {
  const name = location.hash.replace(/^#\/?/, "");
  return Object.hasOwn(pages, name) ? name : "overview";
}

function Namespaces({ session, value, onChange }: { session: Session; value: string; onChange(value: string): void }) {
  if (session.namespaces === null || session.namespaces.length < 2) return null;
  return (
    <select aria-label="Namespace" value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">all namespaces</option>
      {session.namespaces.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

function Shell({ session, onLost }: { session: Session; onLost(): void }) {
  const [name, setName] = useState(pageNow);
  const [namespace, setNamespace] = useState("");
  const [theme, setTheme] = useState<ThemeName>(themeNow);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const moved = (): void => {
      setName(pageNow());
      // So that keyboard and screen reader continue at the top of the new page.
      heading.current?.focus();
      scrollTo(0, 0);
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const { title, Page } = pages[name] ?? { title: "Overview", Page: OverviewPage };
  useEffect(() => {
    document.title = `${title} – Sluice`;
    // On a phone, the navigation scrolls.
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [title]);
  const leave = (): void => void sendLogout().finally(onLost);
  return (
    <>
      <button type="button" class="skip" onClick={() => heading.current?.focus()}>
        Skip to the content
      </button>
      <nav aria-label="Pages">
        <a class="brand" href="#/overview">
          <img src="icon.svg" alt="" width="20" height="20" /> Sluice
        </a>
        <ul>
          {Object.entries(pages).map(([page, entry]) => (
            <li key={page}>
              <a href={`#/${page}`} aria-current={page === name ? "page" : undefined}>
                {entry.title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="body">
        <header class="top">
          <h1 tabIndex={-1} ref={heading}>
            {title}
          </h1>
          <div class="top-tools">
            <Namespaces session={session} value={namespace} onChange={setNamespace} />
            <Theme value={theme} onChange={() => setTheme(nextTheme(theme))} />
            {session.login === "token" && (
              <>
                <span class="quiet-text user">{session.user}</span>
                <button type="button" class="button" onClick={leave}>
                  Log out
                </button>
              </>
            )}
          </div>
        </header>
        <main id="content">
          <Page namespace={namespace} lost={onLost} />
        </main>
      </div>
    </>
  );
}

/** Until the session is known, assume that there is one: usually there is, and the data arrives sooner. */
const assumed: Session = { login: "none", user: "", namespaces: null };

function App() {
  const [session, setSession] = useState<Session | "none" | "down">(assumed);
  const [oidc, setOidc] = useState<string | null>(null);
  const ask = (): void =>
    void readSession().then(setSession, (cause: unknown) => {
      if (cause instanceof NotLoggedIn) setOidc(cause.oidc);
      setSession(cause instanceof NotLoggedIn ? "none" : "down");
    });
  useEffect(ask, []);
  if (session === "none") return <Login oidc={oidc} onDone={setSession} />;
  if (session === "down")
    return (
      <main class="login">
        <h1>Sluice</h1>
        <p role="alert">The console does not answer.</p>
        <button type="button" class="button" onClick={ask}>
          Try again
        </button>
      </main>
    );
  return <Shell session={session} onLost={ask} />;
}

const place = document.getElementById("app");
if (place !== null) render(<App />, place);
