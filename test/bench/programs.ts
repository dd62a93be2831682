import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Programs that a measurement needs, with the Debian package that brings each. */
export const PROGRAMS = { wrk: 'wrk', iperf3: 'iperf3', nginx: 'nginx-light', haproxy: 'haproxy' } as const;
export type Program = keyof typeof PROGRAMS;

/** Where Debian keeps nginx's dynamic modules; the stream module is a package of its own. */
export const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';
const STREAM_PACKAGE = 'libnginx-mod-stream';

export function pathOf(program: Program): string | null {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const { status, stdout } = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8', env });
  return status === 0 ? stdout.trim() : null;
}

/** What `program` prints when it is asked for its version, or null where it is not installed. */
export function versionText(program: Program): string | null {
  const path = pathOf(program);
  if (path === null) return null;
  const { stdout, stderr } = spawnSync(path, ['-v'], { encoding: 'utf8' });
  return `${stdout}${stderr}`;
}

/** A sentence that names what is missing of `programs` and how to install it, or null when all are here. */
export function missing(programs: readonly Program[]): string | null {
  const absent = programs.filter((program) => pathOf(program) === null);
  if (absent.length === 0) return null;
  return `it needs ${absent.join(', ')} (Debian: apt-get install ${absent.map((program) => PROGRAMS[program]).join(' ')})`;
}

/** As `missing`, for nginx as a proxy. */
export function missingStream(): string | null {
  const packages = [...(pathOf('nginx') === null ? [PROGRAMS.nginx] : []), STREAM_PACKAGE];
  return existsSync(STREAM_MODULE) && packages.length === 1
    ? null
    : `it needs nginx's stream module (Debian: apt-get install ${packages.join(' ')})`;
}
