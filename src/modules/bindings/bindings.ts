// Runs in: primary
import { MemoryBindings } from '../../adapters/outbound/memory-bindings/memory-bindings.ts';
import { counter, gauge, type Metric } from '../../application/ports/metric.ts';
import { sweepBindings } from '../../application/sweep-bindings.ts';
import type { BindingsStatus } from '../../application/view-status.ts';
import type { Periodic } from '../../every.ts';
import type { Base, Module } from '../module.ts';

/** Which backend each client sticks to, and the sweep of what expired. */
export class BindingsModule implements Module {
  readonly name = 'bindings';
  readonly #base: Base;
  readonly table: MemoryBindings;
  #sweeps!: Periodic;
  readonly metrics: readonly Metric[] = [
    gauge('bindings', 'Client bindings in the table', () => this.table.size),
    counter('bindings_evicted_total', 'Bindings given up because the table was full', () => this.table.evictions),
  ];

  constructor(base: Base) {
    this.#base = base;
    const { bindingTtlMs, maxBindings } = base.config;
    this.table = new MemoryBindings({ ttlMs: bindingTtlMs, maxBindings });
  }

  start(): void {
    const { config, clock, boundary } = this.#base;
    this.#sweeps = sweepBindings(this.table, clock, boundary, config.bindingGcIntervalMs);
  }

  stop(): Promise<void> {
    return this.#sweeps.stop();
  }

  status(): BindingsStatus {
    const { maxBindings: max, bindingTtlMs: ttlMs } = this.#base.config;
    return { count: this.table.size, max, evicted: this.table.evictions, ttlMs };
  }
}
