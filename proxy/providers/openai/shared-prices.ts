/** Prices of OpenAI's models that Azure charges as well. */
import type { Capabilities } from "../../config/capabilities.ts";

/** Per image, character or hour of audio. */
export const mediaPrices: NonNullable<Capabilities["measuredPrices"]> = [
  {
    models: "^dall-e-3",
    perImage: [
      { size: "1024x1024", quality: "standard", usd: 0.04 },
      { size: "1024x1024", quality: "hd", usd: 0.08 },
      { size: "1024x1792", quality: "standard", usd: 0.08 },
      { size: "1792x1024", quality: "standard", usd: 0.08 },
      { size: "1024x1792", quality: "hd", usd: 0.12 },
      { size: "1792x1024", quality: "hd", usd: 0.12 },
    ],
  },
  {
    models: "^dall-e-2",
    perImage: [
      { size: "256x256", quality: "standard", usd: 0.016 },
      { size: "512x512", quality: "standard", usd: 0.018 },
      { size: "1024x1024", quality: "standard", usd: 0.02 },
    ],
  },
  { models: "^tts-1-hd", perMillionCharacters: 30 },
  { models: "^tts(-1)?($|-)", perMillionCharacters: 15 },
  { models: "^whisper(-1)?$", perHourOfAudio: 0.36 },
];

/** Millionths of the usual price. */
export const priorityFactors: Readonly<Record<string, number>> = {
  "gpt-4o-mini-2024": 1_666_667,
  "gpt-4o-mini-audio": 2_500_000,
  "gpt-4o-mini-": 1_666_667,
  "gpt-4o-2024-05-13": 1_750_000,
  "gpt-4o-2024": 1_700_000,
  "gpt-4o-audio": 2_500_000,
  "gpt-4o-": 1_700_000,
  "gpt-4.1-nano": 2_000_000,
  "gpt-4.1-": 1_750_000,
  "gpt-5-mini": 1_800_000,
  "gpt-5.4": 2_000_000,
  "gpt-5.2": 2_000_000,
  "gpt-5.1": 2_000_000,
  "gpt-5-pro": 2_500_000,
  "gpt-5-": 2_000_000,
  "o3-": 1_750_000,
  "o4-mini": 1_818_182,
};
