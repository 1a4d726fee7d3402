/** How alerts leave the cluster: directly, or through the egress proxy of the environment. */
import { type Egress, egressOf } from "../../proxy/config/egress/egress.ts";

export function alertEgress(
  environment: NodeJS.ProcessEnv,
  log: { info(fields: object, message: string): void },
): Egress {
  const egress = egressOf(environment);
  const proxy = egress.summary();
  if (proxy !== null) log.info({ proxy }, "alerts are sent through the egress proxy");
  return egress;
}
