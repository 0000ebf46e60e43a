import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ServiceTotals } from './service-totals.ts';

/** Something that is asked when somebody reads the metrics: of each of its label sets, one value. */
export interface GaugeReading {
  /** Begins with `cygnet_`; the unit last. */
  readonly name: string;
  readonly help: string;
  /** Their values must be bounded: of models, states, tables; never of consumers or requests. */
  readonly labels: readonly string[];
  readonly read: () => Iterable<readonly [labels: Record<string, string>, value: number]>;
}

/** Label sets of one gauge beyond this are left out: a page of metrics must stay readable whoever connects. */
const LABEL_SETS_MAX = 5_000;

/**
 * What `/metrics` shows, in the text format of Prometheus (version 0.0.4): the totals of serving, what the other rooms
 * answer, and the process (event loop, heap, CPU).
 */
export class Metrics {
  readonly #registry = new Registry();

  constructor(parts: { totals: ServiceTotals; gauges: readonly GaugeReading[]; process: boolean }) {
    parts.totals.register(this.#registry);
    for (const { name, help, labels, read } of parts.gauges) {
      const gauge = new Gauge({
        name,
        help,
        labelNames: [...labels],
        registers: [this.#registry],
        collect: () => {
          gauge.reset();
          let sets = 0;
          for (const [of, value] of read()) {
            if (++sets > LABEL_SETS_MAX) break;
            gauge.set(of, value);
          }
        },
      });
    }
    if (parts.process) collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async text(): Promise<string> {
    return await this.#registry.metrics();
  }
}
