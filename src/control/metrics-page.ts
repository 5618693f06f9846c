// /metrics, for the control socket and the TCP listener.

import type { Router } from '../router/contract.js';
import type { MetricsFormat } from './metrics-format.js';

/** Reads and writes the metrics of a router when they are asked for, and not at all in between. */
export class MetricsPage {
  readonly #making = new Map<MetricsFormat, Promise<string>>();

  /** The page. Whoever asks while one is being made gets the same one: so much memory for it, whoever asks. */
  text(router: Router, format: MetricsFormat): Promise<string> {
    const making = this.#making.get(format);
    if (making !== undefined) return making;
    const made = makeText(router, format).finally(() => this.#making.delete(format));
    this.#making.set(format, made);
    return made;
  }
}

async function makeText(router: Router, format: MetricsFormat): Promise<string> {
  // Loaded by the first scrape: a router that nobody scrapes does without.
  const { formatMetrics } = await import('./metrics.js');
  return formatMetrics(await router.metrics(), format);
}
