// Runs in: primary
import {
  connectionBudget,
  descriptorLimit,
  FEW_CONNECTIONS,
  isFew,
  requireDescriptors,
} from '../../adapters/outbound/descriptor-limit.ts';
import { claimAddresses } from '../../adapters/outbound/listening-sockets/claim-addresses.ts';
import type { Listener } from '../../domain/entities.ts';
import type { ListeningSocket } from '../../ipc/listening-socket.ts';
import type { Base, Module } from '../module.ts';

/** The addresses where clients connect: claimed at the start, and held until the stop, whatever becomes of workers. */
export class PortsModule implements Module {
  readonly name = 'ports';
  readonly #base: Base;
  sockets: readonly ListeningSocket[] = [];
  /** Client connections that one worker has descriptors for. */
  maxConnections = 1;

  constructor(base: Base) {
    this.#base = base;
  }

  /** With the ports as bound. */
  get listeners(): readonly Listener[] {
    return this.sockets.map(({ listener }) => listener);
  }

  start(): void {
    const { config, log } = this.#base;
    requireDescriptors(descriptorLimit(), config.listeners.length);
    this.maxConnections = connectionBudget(descriptorLimit(), config.listeners.length);
    if (isFew(this.maxConnections)) log.warn({ connections: this.maxConnections }, FEW_CONNECTIONS);
    this.sockets = claimAddresses(config);
  }

  /** With the last worker's copy the kernel's queue goes, and clients are told at once to go elsewhere. */
  closePorts(): void {
    for (const { handle } of this.sockets) handle.close();
  }

  /** Of a start that failed, whose ports nobody closed. A handle that is closed already takes no harm. */
  stop(): void {
    this.closePorts();
  }
}
