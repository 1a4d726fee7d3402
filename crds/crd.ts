/** A kind → its CustomResourceDefinition. Pure. */
import type { KindDefinition, PrinterColumn } from "./kinds.ts";
import { published } from "./published.ts";
import { structural } from "./structural.ts";

export interface CustomResourceDefinition {
  apiVersion: string;
  kind: string;
  metadata: { name: string; annotations?: Record<string, string> };
  spec: object;
}

const column = ({ name, type, jsonPath, description, priority }: PrinterColumn): object => ({
  name,
  type,
  jsonPath,
  description,
  ...(priority ? { priority } : {}),
});

export function crd(group: string, version: string, kind: KindDefinition): CustomResourceDefinition {
  const properties = {
    apiVersion: { type: "string", description: "Version of the schema that the object is written in." },
    kind: { type: "string", description: "Kind of the object." },
    metadata: { type: "object" },
    spec: published(structural(kind.spec, `${kind.kind}.spec`)),
    status: published(structural(kind.status, `${kind.kind}.status`)),
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${kind.plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: kind.shortNames,
        categories: ["sluice"],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: kind.columns.map(column),
          schema: {
            openAPIV3Schema: { type: "object", description: kind.description, required: ["spec"], properties },
          },
        },
      ],
    },
  };
}
