/** Settings of the whole proxy that every LLMProvider gets. */
import { timerFrom } from "../amounts.ts";
import { attemptsFrom, boundedNumber } from "../bounds.ts";
import type { Spec } from "../manifests.ts";
import type { Setting } from "../setting.ts";
import type { Config } from "./config.ts";

const attemptsOf = (setting: Setting | undefined): Spec => (setting === undefined ? {} : attemptsFrom(setting));

/** Retries of a deployment of its own, in addition to the defaults. */
export function retryOf(own: Setting, defaults: Spec): Spec {
  const setting = ["num_retries", "max_retries"].map((name) => own.get(name)).find((candidate) => candidate.isSet);
  const retry = { ...(defaults["retry"] as Spec | undefined), ...attemptsOf(setting) };
  return Object.keys(retry).length === 0 ? {} : { retry };
}

function retryDefaults(config: Config): Spec {
  const attempts = attemptsOf(config.find(["router_settings", "num_retries"], ["litellm_settings", "num_retries"]));
  const delay = config.find(["router_settings", "retry_after"]);
  const initialDelay = delay?.number === undefined ? null : timerFrom(delay.number);
  if (initialDelay !== null) delay?.imported("retry.initialDelay");
  const retry = { ...attempts, ...(initialDelay === null ? {} : { initialDelay }) };
  return Object.keys(retry).length === 0 ? {} : { retry };
}

function timeoutDefaults(config: Config): Spec {
  const setting = config.find(["router_settings", "timeout"], ["litellm_settings", "request_timeout"]);
  const response = setting?.number === undefined ? null : timerFrom(setting.number);
  if (setting === undefined || response === null) return {};
  setting.imported("timeouts.response and timeouts.firstToken");
  const stream = config.find(["router_settings", "stream_timeout"]);
  const first = stream?.number === undefined ? null : timerFrom(stream.number);
  if (first !== null) stream?.imported("timeouts.firstToken");
  return { timeouts: { response, firstToken: first ?? response } };
}

function breakerDefaults(config: Config): Spec {
  const breaker: Spec = {};
  const fails = config.find(["router_settings", "allowed_fails"], ["litellm_settings", "allowed_fails"]);
  if (fails?.number !== undefined) {
    breaker["failureThreshold"] = boundedNumber(Math.floor(fails.number) + 1, 1, 1_000, "failureThreshold", fails);
    fails.changed("circuitBreaker.failureThreshold, which counts consecutive failures and not those of a minute");
  }
  const cooldown = config.find(["router_settings", "cooldown_time"], ["litellm_settings", "cooldown_time"]);
  const openFor = cooldown?.number === undefined ? null : timerFrom(cooldown.number);
  if (openFor !== null) {
    breaker["openFor"] = openFor;
    cooldown?.imported("circuitBreaker.openFor");
  }
  const disabled = config.find(["router_settings", "disable_cooldowns"]);
  if (disabled?.isTrue === true) {
    breaker["failureThreshold"] = 1_000;
    disabled.changed("circuitBreaker.failureThreshold is 1000: the breaker can't be switched off");
  }
  return Object.keys(breaker).length === 0 ? {} : { circuitBreaker: breaker };
}

function droppingDefault(config: Config): Spec {
  const setting = config.find(["litellm_settings", "drop_params"]);
  if (setting === undefined) return {};
  setting.imported("spec.unsupportedParameters");
  return setting.isTrue ? {} : { unsupportedParameters: "Refuse" };
}

export const providerDefaults = (config: Config): Spec => ({
  ...timeoutDefaults(config),
  ...retryDefaults(config),
  ...breakerDefaults(config),
  ...droppingDefault(config),
});
