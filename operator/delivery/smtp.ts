/** The mail server, from the settings and the environment. */
import type { OperatorSettings } from "../settings/settings.ts";
import type { Smtp } from "./send.ts";

/** The login is a secret, so it comes from the environment. */
export function smtpOf(smtp: OperatorSettings["alerts"]["smtp"], env: NodeJS.ProcessEnv): Smtp | null {
  if (smtp === null) return null;
  const [user, pass] = [env["SLUICE_SMTP_USER"], env["SLUICE_SMTP_PASSWORD"]];
  return { ...smtp, auth: user && pass ? { user, pass } : null };
}
