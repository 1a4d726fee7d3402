/** The value of a virtual key: its hash, or in a list of keys its clear text. */
import { exampleKeyDigests } from "../../../operator/compile/keys.ts";
import { minKeyCharacters } from "../../../proxy/config/key-record.ts";
import type { ImportedObject, Manifests } from "../manifests.ts";
import { objectNameFrom } from "../names.ts";
import { markSecret, secretFrom } from "../secret-value.ts";
import type { Setting } from "../setting.ts";

const isHash = (text: string): boolean => /^[0-9a-f]{64}$/i.test(text);

/** The key's alias, or the first digits of its hash. Never clear text. */
export function keyName(row: Setting): string {
  const alias = row.get("key_alias").text;
  if (alias !== undefined && alias !== "") return objectNameFrom(alias);
  const token = row.get("token").text ?? "";
  if (isHash(token)) return `key-${token.slice(0, 10).toLowerCase()}`;
  return `key-${objectNameFrom(row.get("user_id").text ?? "", "unnamed")}`;
}

/** Gives the ApiKey its value, or a new one. */
export function writeKey(row: Setting, object: ImportedObject, manifests: Manifests): void {
  const setting = ["key", "token"]
    .map((name) => row.get(name))
    .find((setting) => setting.text !== undefined && !isHash(setting.text));
  const value = setting === undefined ? null : secretFrom(setting);
  if (setting !== undefined && value !== null && !("clear" in value && value.clear.length < minKeyCharacters)) {
    const secret = manifests.secret(`${object.name}-llm-key`);
    secret.values.set("apiKey", value);
    object.spec["writeTo"] = { name: secret.name };
    markSecret(setting, value, secret.name, "apiKey");
    return;
  }
  const hash = ["token", "key"].map((name) => row.get(name)).find((setting) => isHash(setting.text ?? ""));
  if (hash !== undefined && !exampleKeyDigests.has(hash.text?.toLowerCase() ?? "")) {
    object.spec["digests"] = [{ algorithm: "sha256", value: hash.text?.toLowerCase() }];
    hash.imported("digests: the key keeps working");
    return;
  }
  object.spec["writeTo"] = { name: `${object.name}-llm-key` };
  for (const name of ["token", "key"])
    row
      .get(name)
      .changed(
        `${hash === undefined ? "" : "this is the hash of an example key; "}the ApiKey gets a new key, in the Secret that spec.writeTo names`,
      );
}
