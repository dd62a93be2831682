import type { CountryCode, RegionCode } from './value-objects.ts';

/** One row of the routing database, validated. */
export interface Backend {
  readonly id: string;
  readonly app: string;
  readonly region: RegionCode;
  /** `null`: unknown, so the backend is never in a client's own country. */
  readonly country: CountryCode | null;
  /** An IP literal; IPv4-mapped IPv6 is stored as IPv4. */
  readonly host: string;
  /** 1..65535 */
  readonly port: number;
  readonly healthy: boolean;
  /** 0..10000; 0 takes no new clients (a drain): clients that are bound to it stay. */
  readonly weight: number;
  /** Connections that it carries comfortably; 0 counts as 1 in the load quotient. */
  readonly softLimit: number;
  /** Connections that it must never exceed; 0 = no limit. */
  readonly hardLimit: number;
  readonly deleted: boolean;
}

/** What is known about where a client is. */
export interface GeoInfo {
  readonly country: CountryCode;
  readonly region: RegionCode;
}

/** What a client sticks by: the listener's app and its IPv4 address, or the /64 prefix of its IPv6 address. */
export interface ClientKey {
  readonly app: string;
  /** IPv4: 4; IPv6: 6. */
  readonly family: 4 | 6;
  /** The address's first 32 bits, unsigned. */
  readonly high: number;
  /** IPv6: bits 32..63, unsigned; IPv4: 0. */
  readonly low: number;
}

/** An app's listening address. */
export interface Listener {
  /** As configured and as shown: `0.0.0.0:8080`, `[::]:8080`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Backends of this app only; `''` takes backends of every app. */
  readonly app: string;
}

/** Why a connection got the backend that it got. */
export const PICK_REASONS = [
  /** its client's live binding */
  'bound',
  /** the best score, for a client without a live binding */
  'picked',
  /** the binding's backend is unhealthy or gone: the best score of the others */
  'rebound',
  /** the binding's backend is at its hard limit: served elsewhere, once */
  'overflow',
  /** an earlier attempt of this connection failed to connect */
  'retried',
] as const;

export type PickReason = (typeof PICK_REASONS)[number];

/** Why a client was turned away. */
export const REFUSAL_REASONS = [
  /** no routing table, or no row of the listener's app that is up */
  'no_backend',
  /** every backend that is up is at its hard limit */
  'all_full',
  /** every backend that was tried refused or timed out */
  'connect_failed',
  /** this host has no descriptor, local port or memory left to dial with */
  'local_resources',
  /** this host has no route to the backends that may serve, or does not let us use it */
  'no_route',
  /** the primary did not answer in time */
  'pick_timeout',
  /** the client left while its pick waited to be answered */
  'client_left',
  /** the primary is not heard from */
  'primary_silent',
  /** more picks outstanding than one worker may have */
  'too_many_picks',
  /** the worker is near its descriptor limit */
  'descriptor_limit',
  /** the worker died before the client's pick was answered */
  'worker_died',
  /** the primary failed at its pick, by a defect that its log names */
  'internal_error',
  /** its first bytes were not what its listener asks for, or it left, or its time was over, before they came */
  'bad_preread',
] as const;

export type RefusalReason = (typeof REFUSAL_REASONS)[number];
