import t from 'tap';
import { ClientAddress } from '../../src/domain/client-address.ts';
import { clientKey, hashClientKey } from '../../src/domain/client-key.ts';
import { hashPair, hashText, mix32 } from '../../src/domain/hash.ts';

// Hosts and releases must agree, or a client would change its backend with each: these values are the contract.
t.test('the hashes are what they always were', async (t) => {
  t.same([0, 1, 0xffffffff].map(mix32), [0, 0x514e28b7, 0x81f16f39], 'the published values of fmix32');
  t.same(['', 'a', 'backend-1', 'São Paulo'].map(hashText), [2872998923, 444641715, 1437033267, 4176436656]);
  t.equal(hashPair(1, 2), 2117216093);
  t.equal(hashPair(2, 1), 232174035, 'not symmetric');
  t.equal(hashPair(0xffffffff, 0), 387900469);
  const ipv6 = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1];
  const hashOf = (app: string, bytes: number[]) => hashClientKey(clientKey(app, ClientAddress.of(bytes)));
  t.equal(hashOf('', [127, 0, 0, 1]), 4025308792);
  t.equal(hashOf('game', [203, 0, 113, 7]), 595985509);
  t.equal(hashOf('', ipv6), 3974785578);
});

t.test('neighbouring inputs are far apart: each bit of the hash flips about half the time', async (t) => {
  const flips = new Array<number>(32).fill(0);
  const rounds = 4000;
  for (let n = 0; n < rounds; n++) {
    const change = hashPair(n, 17) ^ hashPair(n + 1, 17);
    for (let bit = 0; bit < 32; bit++) flips[bit]! += (change >>> bit) & 1;
  }
  // A fair coin's count over 4000 throws has a standard deviation of 31.6: six of them.
  for (const [bit, count] of flips.entries())
    t.ok(Math.abs(count - rounds / 2) < 190, `bit ${bit} flips ${count} times`);
});
