// Runs in: primary
import { resolve } from 'node:path';
import { bundledGeoipPath } from '../../adapters/outbound/maxmind/bundled.ts';
import { MaxmindGeoResolver } from '../../adapters/outbound/maxmind/maxmind-geo-resolver.ts';
import { gauge } from '../../application/ports/metric.ts';
import type { GeoipStatus } from '../../application/view-status.ts';
import { WatchGeoip } from '../../application/watch-geoip.ts';
import type { Base, Module } from '../module.ts';

/** Where clients are, by their addresses; follows the file. */
export class GeoipModule implements Module {
  readonly name = 'geoip';
  readonly #base: Base;
  resolver!: MaxmindGeoResolver;
  #watch!: WatchGeoip;
  readonly metrics = [
    gauge('geoip_age_seconds', 'Since the GeoIP database that serves was made', () => this.resolver.ageSeconds),
  ];

  constructor(base: Base) {
    this.#base = base;
  }

  async start(): Promise<void> {
    const { config, log, boundary } = this.#base;
    this.resolver = await MaxmindGeoResolver.open(config.geoipPath ?? bundledGeoipPath(), (problem) => {
      log.warn({ reason: problem }, 'GeoIP database damaged');
    });
    this.#watch = new WatchGeoip(this.resolver, log, boundary);
    this.#watch.every(config.dbReloadMs);
  }

  stop(): Promise<void> {
    return this.#watch.stop();
  }

  reasons() {
    return this.#watch.reasons();
  }

  /** Looks at the file now. */
  look(): Promise<void> {
    return this.#watch.look();
  }

  status(): GeoipStatus {
    const { path, ageSeconds } = this.resolver;
    return { path: resolve(path), bundled: this.#base.config.geoipPath === null, ageSeconds };
  }
}
