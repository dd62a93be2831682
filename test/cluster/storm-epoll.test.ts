import t from 'tap';
import { SKIPPED } from '../fixtures/engines.ts';
import { storm } from './storm.ts';

t.test(
  'epoll: the books are exact in a storm of clients, kills, rolls and table changes',
  { skip: SKIPPED.epoll },
  (t) => storm(t, 'epoll'),
);
