import t from 'tap';
import { storm } from './storm.ts';

t.test('stream: the books are exact in a storm of clients, kills, rolls and table changes', (t) => storm(t, 'stream'));
