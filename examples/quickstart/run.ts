/** `make run`: the gateway on this folder, with the simulated provider unless OPENAI_API_KEY is set. */
import { fileURLToPath } from "node:url";
import { keepCompiledCode } from "../../cli/compile-cache.ts";
import { runUntilSignal } from "../../cli/run-until-signal.ts";
import { startProviderServer } from "./provider-server.ts";

keepCompiledCode();
const { runDev } = await import("../../cli/dev.ts");

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const real = Boolean(process.env["OPENAI_API_KEY"]);
const port = process.env["PORT"] ?? "8080";
const statusPort = process.env["STATUS_PORT"] ?? "9090";
/** Must match simulated/provider.yaml. */
const providerPort = 18000;

function inUse(cause: unknown): never {
  const { code, port: taken } = cause as { code?: string; port?: number };
  if (code !== "EADDRINUSE") throw cause;
  const remedy =
    taken === providerPort
      ? "end that process: the simulated provider has this port"
      : "PORT and STATUS_PORT choose others, as in: PORT=8081 make run";
  process.stderr.write(`port ${taken} is in use by another process; ${remedy}\n`);
  process.exit(1);
}

const provider = real ? null : await startProviderServer(providerPort).catch(inUse);
const key = process.env["SLUICE_EXAMPLE_KEY"] ?? "slc_example_key_for_this_machine_only";

process.stdout.write(`
Sluice serves examples/quickstart with ${real ? "OpenAI (OPENAI_API_KEY is set)" : "a simulated provider"}. Try, in another terminal:

  curl http://127.0.0.1:${port}/v1/chat/completions \\
    -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" \\
    -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}'

An anonymous path needs neither key nor model:

  curl http://127.0.0.1:${port}/chat -d '{"messages": [{"role": "user", "content": "Hello!"}]}'

See the calls arrive in the console: http://127.0.0.1:${statusPort}/console

Change a file under examples/quickstart/policies and save: it takes effect at once. Ctrl-C ends it.

`);
await runUntilSignal(() =>
  runDev([
    here("policies"),
    here(real ? "openai" : "simulated"),
    "--port",
    port,
    "--status-port",
    statusPort,
    "--host",
    "127.0.0.1",
  ]),
).catch(inUse);
// It would otherwise keep the process alive after Ctrl-C.
provider?.close();
