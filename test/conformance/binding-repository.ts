import type { Test } from 'tap';
import type { BindingRepository } from '../../src/application/ports/binding-repository.ts';
import type { ClientKey } from '../../src/domain/entities.ts';

export type MakeBindings = (options: { ttlMs: number; maxBindings: number }) => BindingRepository;

export const clientNo = (n: number, app = 'game'): ClientKey => ({ app, family: 4, high: n, low: 0 });

const TTL = 1000;

/** What BindingRepository promises, for any implementation of it. */
export function bindingRepositorySuite(t: Test, make: MakeBindings): void {
  const small = (maxBindings = 3) => make({ ttlMs: TTL, maxBindings });

  t.test('a binding is found with all that was stored', async (t) => {
    const bindings = small();
    t.equal(bindings.find(clientNo(1), 5), 0, 'nothing before it is bound');
    const ref = bindings.bind(clientNo(1), 'a', 'BR', 5.5);
    t.ok(ref > 0);
    t.equal(bindings.find(clientNo(1), 6), ref);
    t.equal(bindings.backendOf(ref), 'a');
    t.equal(bindings.countryOf(ref), 'BR');
    t.equal(bindings.boundAt(ref), 5.5);
    t.equal(bindings.lastSeenAt(ref), 5.5);
    t.equal(bindings.openConnections(ref), 0);
    t.equal(bindings.size, 1);
    t.equal(bindings.evictions, 0);
  });

  t.test('keys that differ in one field are different clients', async (t) => {
    const key: ClientKey = { app: 'game', family: 6, high: 0xffffffff, low: 0x80000000 };
    const others: ClientKey[] = [
      { ...key, app: '' },
      { ...key, family: 4 },
      { ...key, high: 0x7fffffff },
      { ...key, low: 0 },
    ];
    const bindings = small(9);
    bindings.bind(key, 'a', null, 0);
    for (const other of others) t.equal(bindings.find(other, 0), 0, JSON.stringify(other));
    for (const [i, other] of others.entries()) bindings.bind(other, `b${i}`, null, 0);
    t.equal(bindings.backendOf(bindings.find(key, 0)), 'a');
    for (const [i, other] of others.entries()) t.equal(bindings.backendOf(bindings.find(other, 0)), `b${i}`);
  });

  t.test('a client keeps its country, known or not, wherever its binding moves', async (t) => {
    const bindings = small();
    const countries = ['BR', null, 'XK'];
    const refs = countries.map((country, n) => bindings.bind(clientNo(n), 'a', country, 0));
    for (const ref of refs) {
      bindings.move(ref, 'b', 1);
      bindings.acquire(ref);
      bindings.release(ref, 2);
    }
    t.same(
      refs.map((ref) => bindings.countryOf(ref)),
      countries,
    );
    for (const ref of refs) bindings.remove(ref);
    t.equal(
      bindings.countryOf(bindings.bind(clientNo(5), 'a', null, 3)),
      null,
      'nothing is left of who was there before',
    );
  });

  t.test('to look a binding up is no activity', async (t) => {
    const bindings = small();
    const ref = bindings.bind(clientNo(1), 'a', null, 0);
    bindings.find(clientNo(1), TTL - 1);
    t.equal(bindings.lastSeenAt(ref), 0);
    t.equal(bindings.find(clientNo(1), TTL), 0);
  });

  t.test('exactly at the TTL a binding is expired, checked on read', async (t) => {
    const bindings = small();
    const ref = bindings.bind(clientNo(1), 'a', null, 10);
    t.equal(bindings.find(clientNo(1), 10 + TTL - 0.001), ref);
    t.equal(bindings.size, 1);
    t.equal(bindings.find(clientNo(1), 10 + TTL), 0);
    t.equal(bindings.size, 0, 'it was dropped');
    t.equal(bindings.evictions, 0, 'for its age, not for want of room');
  });

  t.test('an expired binding gives way to a new one of its client', async (t) => {
    const bindings = small(1);
    bindings.bind(clientNo(1), 'a', 'AE', 0);
    const ref = bindings.bind(clientNo(1), 'b', 'ZW', TTL);
    t.equal(bindings.backendOf(ref), 'b');
    t.equal(bindings.countryOf(ref), 'ZW', 'and of the country where it is now');
    t.equal(bindings.boundAt(ref), TTL);
    t.equal(bindings.size, 1);
    t.equal(bindings.evictions, 0);
  });

  t.test('a client that is bound cannot be bound twice', async (t) => {
    const bindings = small();
    const ref = bindings.bind(clientNo(1), 'a', null, 0);
    t.throws(() => bindings.bind(clientNo(1), 'b', null, TTL - 1));
    t.equal(bindings.backendOf(ref), 'a');
  });

  t.test('an open connection keeps its binding; the TTL starts at the last release', async (t) => {
    const bindings = small();
    const ref = bindings.bind(clientNo(1), 'a', null, 0);
    bindings.acquire(ref);
    bindings.acquire(ref);
    t.equal(bindings.openConnections(ref), 2);
    bindings.release(ref, 10 * TTL);
    t.equal(bindings.openConnections(ref), 1);
    t.equal(bindings.sweep(20 * TTL, 10), 0);
    t.equal(bindings.find(clientNo(1), 20 * TTL), ref);
    bindings.release(ref, 30 * TTL);
    t.equal(bindings.openConnections(ref), 0);
    t.equal(bindings.lastSeenAt(ref), 30 * TTL);
    t.equal(bindings.boundAt(ref), 0);
    t.equal(bindings.find(clientNo(1), 31 * TTL - 1), ref);
    t.equal(bindings.find(clientNo(1), 31 * TTL), 0);
  });

  t.test('a release without its acquire is a defect that shows', async (t) => {
    const bindings = small();
    const ref = bindings.bind(clientNo(1), 'a', null, 0);
    t.throws(() => bindings.release(ref, 1));
    t.equal(bindings.openConnections(ref), 0);
    t.equal(bindings.sweep(TTL, 10), 1, 'and does no harm');
  });

  t.test('a full table gives up the least recently seen binding', async (t) => {
    const bindings = small(3);
    const first = bindings.bind(clientNo(1), 'a', null, 0);
    bindings.bind(clientNo(2), 'a', null, 0);
    bindings.bind(clientNo(3), 'a', null, 0);
    bindings.acquire(first);
    bindings.release(first, 1);
    for (const [n, victim] of [2, 3, 1].entries()) {
      bindings.bind(clientNo(4 + n), 'a', null, 2);
      t.equal(bindings.find(clientNo(victim), 2), 0, `client ${victim} went`);
      t.equal(bindings.size, 3);
      t.equal(bindings.evictions, n + 1);
    }
  });

  t.test('a binding in use is never given up; a table full of them takes no more', async (t) => {
    const bindings = small(2);
    const one = bindings.bind(clientNo(1), 'a', null, 0);
    const two = bindings.bind(clientNo(2), 'a', null, 0);
    bindings.acquire(one);
    bindings.acquire(two);
    t.equal(bindings.bind(clientNo(3), 'a', null, 1), 0);
    t.equal(bindings.find(clientNo(3), 1), 0);
    t.equal(bindings.size, 2);
    t.equal(bindings.evictions, 0);
    bindings.release(one, 2);
    t.ok(bindings.bind(clientNo(3), 'a', null, 3) > 0);
    t.equal(bindings.find(clientNo(2), 3), two);
    t.equal(bindings.find(clientNo(1), 3), 0);
  });

  t.test('an expired binding that made room was not given up', async (t) => {
    const bindings = small(1);
    bindings.bind(clientNo(1), 'a', null, 0);
    bindings.bind(clientNo(2), 'a', null, TTL);
    t.equal(bindings.evictions, 0);
    bindings.bind(clientNo(3), 'a', null, TTL + 1);
    t.equal(bindings.evictions, 1);
  });

  t.test('a binding that moves is of that age on its new backend, and keeps its place', async (t) => {
    const bindings = small(2);
    const ref = bindings.bind(clientNo(1), 'a', null, 0);
    bindings.bind(clientNo(2), 'a', null, 1);
    bindings.move(ref, 'b', 1);
    t.equal(bindings.backendOf(ref), 'b');
    t.equal(bindings.boundAt(ref), 1);
    t.equal(bindings.lastSeenAt(ref), 0);
    t.equal(bindings.find(clientNo(1), 1), ref);
    bindings.bind(clientNo(3), 'a', null, 2);
    t.equal(bindings.find(clientNo(1), 2), 0, 'still the oldest');
  });

  t.test('remove forgets an idle binding and lets one in use be', async (t) => {
    const bindings = small();
    const one = bindings.bind(clientNo(1), 'a', null, 0);
    const two = bindings.bind(clientNo(2), 'a', null, 0);
    bindings.acquire(two);
    bindings.remove(one);
    bindings.remove(two);
    t.equal(bindings.find(clientNo(1), 0), 0);
    t.equal(bindings.find(clientNo(2), 0), two);
    t.equal(bindings.openConnections(two), 1);
    t.equal(bindings.size, 1);
    t.equal(bindings.evictions, 0);
  });

  t.test('a sweep frees at most its limit, oldest first, and tells when it is done', async (t) => {
    const bindings = small(9);
    for (const n of [1, 2, 3, 4, 5]) bindings.bind(clientNo(n), 'a', null, n);
    t.equal(bindings.sweep(TTL, 9), 0);
    t.equal(bindings.sweep(TTL + 4, 0), 0);
    t.equal(bindings.sweep(TTL + 4, 3), 3);
    t.equal(bindings.size, 2);
    t.equal(bindings.sweep(TTL + 4, 3), 1);
    t.ok(bindings.find(clientNo(5), TTL + 4) > 0);
    t.equal(bindings.size, 1);
  });
}
