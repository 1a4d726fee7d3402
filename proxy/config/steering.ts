/** Everything that any provider declares as steering (`Steering` in capabilities.ts). */
import { capabilitiesByType } from "./capabilities.generated.ts";

const declared = Object.values(capabilitiesByType).flatMap(({ steering }) => steering ?? []);

const prices = new Map<string, Set<unknown>>();
for (const { price = {} } of declared)
  for (const [member, values] of Object.entries(price))
    prices.set(member, new Set([...(prices.get(member) ?? []), ...values]));

/** Members that choose where the call is processed. */
export const regionMembers: readonly string[] = [...new Set(declared.flatMap(({ region = [] }) => region))];
/** Members that make the provider choose another model. */
export const modelMembers: readonly string[] = [...new Set(declared.flatMap(({ models = [] }) => models))];
/** Member → values that are charged at another price. */
export const priceMembers: readonly (readonly [name: string, values: ReadonlySet<unknown>])[] = [...prices];

export const steeringMembers: readonly string[] = [...regionMembers, ...modelMembers, ...prices.keys()];
