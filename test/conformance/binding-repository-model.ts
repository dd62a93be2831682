import fc from 'fast-check';
import type { BindingRef, BindingRepository } from '../../src/application/ports/binding-repository.ts';
import { NaiveBindings } from '../fixtures/naive-bindings.ts';
import { clientNo, type MakeBindings } from './binding-repository.ts';

export const MODEL_TTL = 100;
/** Of clients, by their number. */
const COUNTRIES = ['BR', 'DE', null, 'US'] as const;

/** One operation; `client` is a client number, `ms` how long after the one before it. */
export type Step =
  | { readonly do: 'look' | 'bind' | 'move' | 'acquire' | 'release' | 'remove'; client: number; ms: number }
  /** binds `count` clients from `client` on that are not bound */
  | { readonly do: 'fill'; client: number; count: number; ms: number }
  | { readonly do: 'sweep'; limit: number; ms: number };

/** Steps about few clients, so that they meet again, with idle times about the TTL. */
export function stepsArbitrary(clients: number, maxFill: number): fc.Arbitrary<Step[]> {
  const ms = fc.oneof(fc.constantFrom(0, 0, 1, MODEL_TTL / 2, MODEL_TTL - 1, MODEL_TTL), fc.nat(MODEL_TTL * 2));
  const client = fc.nat(clients - 1);
  const kinds = fc.constantFrom('look', 'bind', 'bind', 'bind', 'move', 'acquire', 'acquire', 'release', 'remove');
  const single = fc.record({ do: kinds, client, ms });
  const fill = fc.record({ do: fc.constant('fill'), client, count: fc.nat(maxFill), ms });
  const sweep = fc.record({ do: fc.constant('sweep'), limit: fc.nat(maxFill), ms });
  const step = fc.oneof(
    { arbitrary: single, weight: 8 },
    { arbitrary: fill, weight: 1 },
    { arbitrary: sweep, weight: 1 },
  );
  return fc.array(step, { maxLength: 120, size: 'max' }) as fc.Arbitrary<Step[]>;
}

/** Runs the steps on a table and on the naive one; throws at the first step at which they differ. */
export function holdAgainstModel(
  make: MakeBindings,
  maxBindings: number,
  clients: number,
  steps: readonly Step[],
): void {
  const pair = new Pair(make({ ttlMs: MODEL_TTL, maxBindings }), new NaiveBindings({ ttlMs: MODEL_TTL, maxBindings }));
  let now = 0;
  for (const [at, step] of steps.entries()) {
    now += step.ms;
    pair.place = `step ${at}, ${JSON.stringify(step)}`;
    pair.run(step, now);
  }
  pair.place = 'the end';
  for (let client = 0; client < clients; client++) pair.look(client, now);
}

class Pair {
  place = '';
  readonly #real: BindingRepository;
  readonly #model: BindingRepository;
  /** Handles as connections keep them. */
  readonly #held = new Map<number, { real: BindingRef; model: BindingRef }>();

  constructor(real: BindingRepository, model: BindingRepository) {
    this.#real = real;
    this.#model = model;
  }

  run(step: Step, now: number): void {
    switch (step.do) {
      case 'sweep':
        this.#same('sweep', (bindings) => bindings.sweep(now, step.limit));
        break;
      case 'fill':
        for (let n = 0; n < step.count; n++) this.#bind(step.client + n, now);
        break;
      case 'bind':
        this.#bind(step.client, now);
        break;
      case 'release':
        this.#release(step.client, now);
        break;
      default:
        this.#touch(step.do, step.client, now);
    }
    this.#same('size', (bindings) => bindings.size);
    this.#same('evictions', (bindings) => bindings.evictions);
  }

  /** The client's handles in both tables, or null when both have none; all that is stored must agree. */
  look(client: number, now: number): { real: BindingRef; model: BindingRef } | null {
    const key = clientNo(client);
    const real = this.#real.find(key, now);
    const model = this.#model.find(key, now);
    this.#equal('find', real !== 0, model !== 0);
    if (real === 0) return null;
    const held = this.#held.get(client);
    if (held !== undefined) this.#equal('held handle', real, held.real);
    this.#equal('backend', this.#real.backendOf(real), this.#model.backendOf(model));
    this.#equal('country', this.#real.countryOf(real), this.#model.countryOf(model));
    this.#equal('created', this.#real.boundAt(real), this.#model.boundAt(model));
    this.#equal('last seen', this.#real.lastSeenAt(real), this.#model.lastSeenAt(model));
    this.#equal('open', this.#real.openConnections(real), this.#model.openConnections(model));
    return { real, model };
  }

  #bind(client: number, now: number): void {
    if (this.look(client, now) !== null) return;
    const bound = this.#same(
      'bind',
      (bindings) => bindings.bind(clientNo(client), `b${now}`, COUNTRIES[client % 4]!, now) !== 0,
    );
    if (bound !== (this.look(client, now) !== null)) throw new Error(`${this.place}: bind and find disagree`);
  }

  #touch(what: 'look' | 'move' | 'acquire' | 'remove', client: number, now: number): void {
    const refs = this.look(client, now);
    if (refs === null || what === 'look') return;
    if (what === 'acquire') this.#held.set(client, refs);
    for (const [bindings, ref] of [
      [this.#real, refs.real],
      [this.#model, refs.model],
    ] as const) {
      if (what === 'move') bindings.move(ref, `m${now}`, now);
      else bindings[what](ref);
    }
    this.look(client, now);
  }

  #release(client: number, now: number): void {
    const refs = this.#held.get(client);
    if (refs === undefined) return;
    this.#real.release(refs.real, now);
    this.#model.release(refs.model, now);
    if (this.#model.openConnections(refs.model) === 0) this.#held.delete(client);
    this.look(client, now);
  }

  #same<T>(what: string, ask: (bindings: BindingRepository) => T): T {
    const model = ask(this.#model);
    this.#equal(what, ask(this.#real), model);
    return model;
  }

  #equal(what: string, real: unknown, model: unknown): void {
    if (real !== model) throw new Error(`${this.place}: ${what} is ${String(real)}, the model says ${String(model)}`);
  }
}
