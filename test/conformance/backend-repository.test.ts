import { renameSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { SqliteBackendRepository } from '../../src/adapters/outbound/sqlite/sqlite-backend-repository.ts';
import { MemoryBackendRepository } from '../fixtures/memory-backend-repository.ts';
import { writeRoutingDb } from '../fixtures/routing-db.ts';
import { backendRepositorySuite } from './backend-repository.ts';

t.test('memory', async (t) => {
  backendRepositorySuite(t, () => {
    const repository = new MemoryBackendRepository();
    return {
      repository,
      write: (backends) => repository.set(backends),
      break: () => repository.fail('EDGE_ERR_DB_MISSING', 'gone'),
      mend: () => repository.mend(),
    };
  });
});

t.test('sqlite', async (t) => {
  backendRepositorySuite(t, (t) => {
    const path = join(t.testdir(), 'routing.db');
    return {
      repository: new SqliteBackendRepository({ path }),
      write: (backends) => writeRoutingDb(path, backends),
      break: () => renameSync(path, `${path}.away`),
      mend: () => renameSync(`${path}.away`, path),
    };
  });
});
