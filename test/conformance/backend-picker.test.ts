import t, { type Test } from 'tap';
import { InProcessPicker } from '../../src/adapters/inbound/in-process-picker.ts';
import { openPicker, openSession } from '../adapters/channel-rig.ts';
import { address, Rig, refusedBy } from '../application/rig.ts';
import { backendPickerSuite } from './backend-picker.ts';

t.test('InProcessPicker', async (t) =>
  backendPickerSuite(
    t,
    async (_t, rig) => ({ picker: new InProcessPicker(rig.service, 1, rig.clock), arrived: async () => {} }),
    () => new Rig(),
  ),
);

t.test('ChannelPicker, to a WorkerSession over a socket', async (t) =>
  backendPickerSuite(
    t,
    async (t: Test, rig) => {
      const { theirs } = await openSession(t, rig);
      const { picker, greeted } = openPicker(theirs);
      await greeted;
      // What is sent before a question is heard before it: its answer says that all of it has arrived.
      let seq = 1_000_000;
      const arrived = () =>
        new Promise<void>((resolve) => {
          const request = { seq: ++seq, listener: 1, address: address('10.255.255.255'), tried: [refusedBy('nobody')] };
          picker.pick(request, { answered: () => resolve() });
          picker.flush();
        });
      return { picker, arrived };
    },
    () => new Rig(),
  ),
);
