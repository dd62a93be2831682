import type net from 'node:net';
import type { Test } from 'tap';
import { WorkerSession } from '../../src/adapters/inbound/worker-session.ts';
import { ChannelPicker } from '../../src/adapters/outbound/channel-picker.ts';
import { DuplexLink } from '../../src/ipc/byte-link.ts';
import type { Rig } from '../application/rig.ts';
import { socketPair } from '../fixtures/socket-pair.ts';

/** Far longer than anything here takes: heartbeats play no part where a test does not ask for them. */
export const NEVER_MS = 600_000;

/** What a session told its owner. */
export interface Told {
  welcomes: number;
  /** How often slots may have changed. */
  booked: number;
  dropped: number;
  readonly failures: string[];
  /** Resolves with the first failure. */
  readonly failed: Promise<string>;
}

/** The primary's end of a channel, and the bare socket that plays the worker. */
export async function openSession(
  t: Test,
  rig: Rig,
  incarnation = 1,
  heartbeatTimeoutMs = NEVER_MS,
): Promise<{ session: WorkerSession; told: Told; theirs: net.Socket; mine: net.Socket }> {
  const [mine, theirs] = await socketPair(t);
  let fail: (reason: string) => void = () => {};
  const failed = new Promise<string>((resolve) => {
    fail = resolve;
  });
  const told: Told = { welcomes: 0, booked: 0, dropped: 0, failures: [], failed };
  const session = new WorkerSession({
    link: new DuplexLink(mine),
    incarnation,
    service: rig.service,
    desk: rig.desk,
    boundary: rig.boundary,
    clock: rig.clock,
    heartbeatTimeoutMs,
    onWelcome: () => {
      told.welcomes++;
    },
    onFailure: (reason) => {
      told.failures.push(reason);
      fail(reason);
    },
    onBooked: () => {
      told.booked++;
    },
    onDropped: (count) => {
      told.dropped += count;
    },
  });
  t.teardown(() => session.processGone(0));
  return { session, told, theirs, mine };
}

/** A worker's end of a channel on `socket`. */
export function openPicker(socket: net.Socket, incarnation = 1, timeoutMs = NEVER_MS, answersSyncs = true) {
  let hello: (denied: string | null) => void = () => {};
  let lose: () => void = () => {};
  const greeted = new Promise<string | null>((resolve) => {
    hello = resolve;
  });
  const lost = new Promise<void>((resolve) => {
    lose = resolve;
  });
  const caps: number[] = [];
  const syncs: number[] = [];
  const picker = new ChannelPicker({
    link: new DuplexLink(socket),
    incarnation,
    timeoutMs,
    onHello: hello,
    onCap: (cap) => caps.push(cap),
    onSync: (round) => {
      syncs.push(round);
      if (answersSyncs) picker.synced(round);
    },
    onLost: lose,
  });
  return { picker, greeted, lost, caps, syncs };
}
