/** A certificate authority of a test's own, and certificates that it signs, as PEM. */
import { createCA, createCert } from "mkcert";

export interface Pair {
  cert: string;
  key: string;
}

export interface Authority extends Pair {
  /** For these names and addresses; the first one is its common name. */
  issue(...names: string[]): Promise<Pair>;
  /** The same, and its time is over. */
  issueExpired(...names: string[]): Promise<Pair>;
}

export async function certificateAuthority(organization = "Test CA"): Promise<Authority> {
  const ca = await createCA({ organization, countryCode: "US", state: "Test", locality: "Test", validity: 2 });
  const issue = (names: string[], validity: number): Promise<Pair> =>
    createCert({ ca: { key: ca.key, cert: ca.cert }, domains: names, validity });
  return { ...ca, issue: (...names) => issue(names, 1), issueExpired: (...names) => issue(names, -1) };
}
