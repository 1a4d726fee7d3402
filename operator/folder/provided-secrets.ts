/** Secrets that another controller creates in the cluster from manifests in the repository. Pure. */

export interface ProvidedSecret {
  /** Kind of the object that provides it. */
  by: string;
  /** null: its keys are not known. */
  keys: readonly string[] | null;
  labels: Readonly<Record<string, string>>;
}

interface Template {
  metadata?: { name?: string; labels?: Record<string, string> };
  data?: Record<string, unknown>;
}

interface Manifest {
  apiVersion?: unknown;
  kind?: unknown;
  metadata?: { name?: unknown; namespace?: unknown; labels?: Record<string, string> };
  sops?: unknown;
  spec?: {
    target?: { name?: string; template?: Template };
    template?: Template;
    data?: { secretKey?: string }[];
    dataFrom?: unknown[];
    encryptedData?: Record<string, unknown>;
  };
  data?: Record<string, unknown>;
  stringData?: Record<string, unknown>;
}

type Found = ProvidedSecret & { name: string };

/** https://external-secrets.io/latest/api/externalsecret/ */
function external({ metadata, spec = {} }: Manifest): Found {
  const { target, data = [], dataFrom } = spec;
  const template = Object.keys(target?.template?.data ?? {});
  const named = data.map((entry) => entry.secretKey).filter((key) => key !== undefined);
  return {
    by: "ExternalSecret",
    name: target?.name ?? String(metadata?.name),
    keys: dataFrom === undefined ? (template.length > 0 ? template : named) : null,
    labels: target?.template?.metadata?.labels ?? metadata?.labels ?? {},
  };
}

/** https://github.com/bitnami-labs/sealed-secrets#overview */
function sealed({ metadata, spec = {} }: Manifest): Found {
  const { template, encryptedData = {} } = spec;
  return {
    by: "SealedSecret",
    name: template?.metadata?.name ?? String(metadata?.name),
    keys: [...new Set([...Object.keys(encryptedData), ...Object.keys(template?.data ?? {})])],
    labels: template?.metadata?.labels ?? {},
  };
}

/** SOPS encrypts values and leaves keys as they are. */
const sops = ({ metadata, data = {}, stringData = {} }: Manifest): Found => ({
  by: "SOPS",
  name: String(metadata?.name),
  keys: Object.keys({ ...data, ...stringData }),
  labels: metadata?.labels ?? {},
});

/** `namespace/name` and the Secret that a controller will create from a manifest; null for other manifests. */
export function providedSecret(raw: object): [ref: string, provided: ProvidedSecret] | null {
  const manifest = raw as Manifest;
  const { apiVersion, kind, metadata } = manifest;
  const group = String(apiVersion).split("/")[0];
  let secret: Found;
  if (group === "external-secrets.io" && kind === "ExternalSecret") secret = external(manifest);
  else if (group === "bitnami.com" && kind === "SealedSecret") secret = sealed(manifest);
  else if (apiVersion === "v1" && kind === "Secret" && manifest.sops !== undefined) secret = sops(manifest);
  else return null;
  const { name, ...provided } = secret;
  const namespace = typeof metadata?.namespace === "string" ? metadata.namespace : "default";
  return [`${namespace}/${name}`, provided];
}
