import type { ObjectState } from "../../views/conditions.ts";
import { Badge, Card, Name } from "../parts.tsx";

/** Objects that the proxies don't have, and why. */
export function Unserved({ states }: { states: readonly ObjectState[] }) {
  if (states.length === 0) return null;
  return (
    <Card title="Not served">
      <ul class="problems">
        {states.map(({ id, state, why }) => (
          <li key={id} class="error">
            <Badge text={state} />
            <div>
              <Name id={id} />
              <span class="problem-message">{why}</span>
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}
