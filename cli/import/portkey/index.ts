/** Portkey: gateway configs as JSON, one or several in a file, as written by hand or returned by its API. */
import { Accounts } from "../accounts.ts";
import type { Setting } from "../setting.ts";
import type { ImportSource } from "../source.ts";
import { addPolicy } from "./policies.ts";

interface NamedConfig {
  name: string;
  config: Setting;
}

const isConfig = (setting: Setting): boolean =>
  ["strategy", "targets", "provider", "virtual_key", "virtualKey", "override_params"].some(
    (name) => setting.get(name).isSet,
  );

const fileName = (setting: Setting): string => (setting.file.split("/").at(-1) ?? "").replace(/\.[a-z]+$/i, "");

/** The configs in a document, with their names from the API or the file. */
function configsIn(setting: Setting, name: string): NamedConfig[] {
  if (Array.isArray(setting.value))
    return setting.items().flatMap((item, index) => configsIn(item, index === 0 ? name : `${name}-${index + 1}`));
  if (isConfig(setting)) return [{ name, config: setting }];
  const named = setting.get("slug").text ?? setting.get("name").text ?? name;
  for (const field of [
    "slug",
    "name",
    "id",
    "success",
    "object",
    "is_default",
    "status",
    "created_at",
    "last_updated_at",
    "owner_id",
    "organisation_id",
    "workspace_id",
    "updated_by",
    "format",
    "type",
    "version_id",
  ])
    setting.get(field).imported("not needed");
  return ["data", "config", "configs"].flatMap((field) =>
    setting.get(field).isSet ? configsIn(setting.get(field), named) : [],
  );
}

export const source: ImportSource = {
  name: "portkey",
  files: "gateway configs as JSON or YAML, one or several in a file, or as returned by the API",
  convert(documents, manifests, options) {
    const accounts = new Accounts(manifests);
    for (const document of documents)
      for (const { name, config } of configsIn(document, fileName(document)))
        addPolicy(name, config, accounts, manifests, options);
  },
};
