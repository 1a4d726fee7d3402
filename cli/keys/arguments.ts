/** Arguments of `sluice keys`. */
import { parseArgs } from "node:util";
import { UsageError } from "../../proxy/usage-error.ts";

export const keysUsage = `sluice keys COMMAND: make and manage API keys, in a cluster or in a folder of manifests

  create --user USER    make an ApiKey, and its key
    --role ROLE           (default developer)
    --team TEAM  --tag TAG…  --model MODEL…
    --expires-in TIME     such as 90d
    --name NAME           of the object (default: made from the user)
    --secret NAME         for the key (default: NAME-llm-key)
    --show                print the key, once
  rotate                make a new key; the previous one works until the grace period ends
    --grace-period TIME   such as 7d (default 24h)
  revoke                refuse the key from now on
  list                  list the objects, never their keys
    --output table|json

  Which keys:
  --user USER           all keys of a user, or
  --name NAME           one object
  Where:
  -n, --namespace NS    (default: the kubeconfig's, else default; list: all)
  --folder DIR          a folder of manifests, as for sluice dev
  --kubeconfig FILE     a cluster (default: ~/.kube/config)
  --wait SECONDS        wait until the change is live on all proxies (default 60; 0: don't wait)`;

const options = {
  user: { type: "string" },
  role: { type: "string" },
  team: { type: "string" },
  tag: { type: "string", multiple: true },
  model: { type: "string", multiple: true },
  "expires-in": { type: "string" },
  name: { type: "string" },
  secret: { type: "string" },
  show: { type: "boolean" },
  "grace-period": { type: "string" },
  output: { type: "string", short: "o", default: "table" },
  namespace: { type: "string", short: "n" },
  folder: { type: "string" },
  kubeconfig: { type: "string" },
  wait: { type: "string", default: "60" },
  help: { type: "boolean" },
} as const;

export type KeysValues = ReturnType<typeof parsed>["values"];

function parsed(args: readonly string[]) {
  return parseArgs({ args: [...args], options, allowPositionals: true });
}

export const keysCommands = ["create", "rotate", "revoke", "list"] as const;
export type KeysCommand = (typeof keysCommands)[number];

/** Returns null if help is asked for. */
export function keysArguments(args: readonly string[]): { command: KeysCommand; values: KeysValues } | null {
  const { values, positionals } = parsed(args);
  if (values.help || positionals.length === 0) return null;
  const command = keysCommands.find((command) => command === positionals[0]);
  if (command === undefined) throw new UsageError(`sluice keys has ${keysCommands.join(", ")}, not ${positionals[0]}`);
  if (positionals.length > 1)
    throw new UsageError(
      `sluice keys ${command} takes only options, not ${positionals.slice(1).join(" ")}; --user and --name say whose`,
    );
  if (command === "create" && !values.user) throw new UsageError("say whose key it is: --user alice@example.com");
  if ((command === "rotate" || command === "revoke") && (values.user === undefined) === (values.name === undefined))
    throw new UsageError(`say which: --user USER for all of a user's keys, or --name NAME for one`);
  if (values.output !== "table" && values.output !== "json")
    throw new UsageError(`--output must be table or json, not ${values.output}`);
  if (!/^\d{1,4}$/.test(values.wait)) throw new UsageError(`--wait must be a number of seconds, not ${values.wait}`);
  return { command, values };
}
