/** Consumers with keys → ApiKeys. */
import { minKeyCharacters } from "../../../proxy/config/key-record.ts";
import type { Manifests } from "../manifests.ts";
import { objectNameFrom, subjectFrom } from "../names.ts";
import { markSecret, secretFrom } from "../secret-value.ts";
import type { Setting } from "../setting.ts";

function addKey(consumer: Setting, setting: Setting, manifests: Manifests): void {
  const name = subjectFrom(consumer.get("username").text ?? consumer.get("custom_id").text ?? "consumer");
  const group = consumer.get("groups").items()[0];
  const team = group?.text ?? group?.get("name").text;
  const tags = consumer.get("tags").texts.map(subjectFrom);
  const value = secretFrom(setting);
  const isWeak = value !== null && "clear" in value && value.clear.length < minKeyCharacters;
  const spec = {
    user: name,
    ...(team === undefined ? {} : { team: subjectFrom(team) }),
    ...(tags.length === 0 ? {} : { tags }),
  };
  if (value === null || isWeak) {
    const object = manifests.add("ApiKey", name, { ...spec, writeTo: { name: `${objectNameFrom(name)}-llm-key` } });
    setting.changed(
      `ApiKey ${object.name} gets a new key: this one is shorter than ${minKeyCharacters} characters, and would be refused`,
    );
    return;
  }
  const secret = manifests.secret(`${objectNameFrom(name)}-llm-key`);
  secret.values.set("apiKey", value);
  manifests.add("ApiKey", name, { ...spec, writeTo: { name: secret.name } });
  markSecret(setting, value, secret.name, "apiKey");
}

export function addConsumers(document: Setting, manifests: Manifests): void {
  for (const consumer of document.get("consumers").items()) {
    const keys = consumer.get("keyauth_credentials").items();
    for (const key of keys) addKey(consumer, key.get("key"), manifests);
    if (keys.length === 0) continue;
    for (const name of ["username", "custom_id", "tags", "groups", "id"])
      consumer.get(name).imported("user, team and tags of the ApiKey");
  }
}
