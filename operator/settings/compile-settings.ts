/** The settings of a running operator that compile takes into account. */
import type { CompileSettings } from "../compile/world.ts";
import { installedPrices, knowsCountries, renderedSettings } from "./installation.ts";
import type { OperatorSettings } from "./settings.ts";

/** `issuer`: as for `renderedSettings`. */
export function compileSettings(
  settings: OperatorSettings,
  issuer?: Parameters<typeof renderedSettings>[1],
): CompileSettings {
  return {
    proxy: renderedSettings(settings, issuer),
    sharingNamespaces: settings.sharingNamespaces,
    prices: installedPrices(settings),
    pricing: settings.pricing,
    reportLabels: settings.reportLabels,
    anonymousNamespaces: settings.anonymousNamespaces,
    pathPrefixes: settings.pathPrefixes,
    privateEndpointNamespaces: settings.privateEndpointNamespaces,
    cloudIdentities: settings.cloudIdentities,
    knowsCountries: knowsCountries(settings),
    durableAudit: settings.durableAudit,
    knowsRoles: true,
    refuseWeakKeys: true,
    hasMail: settings.alerts.smtp !== null,
  };
}
