// Runs in: primary, cli
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { endianness } from 'node:os';
import { basename } from 'node:path';
import { type ListenAddress, overlap } from '../../../domain/listen-addresses.ts';
import { parseAddress } from '../../../ip-address.ts';

/** The process that has a listening socket. */
export interface Holder {
  readonly pid: number;
  /** Of its program, cut short and on one line: text of a stranger's. */
  readonly name: string;
}

/** In proc_net_tcp(5). */
const LISTEN = '0A';
/** Of the flags in /proc/net/unix: SO_ACCEPTCON. */
const ACCEPTS = 0x10000;
const NAME_CHARACTERS = 40;

/**
 * Who listens at `address`, or at one that overlaps it. `null`: nobody, or that cannot be told: only Linux tells, of other
 * users' processes only root is told, and a socket that is bound and does not listen is nobody's to see.
 */
export function holderOf(address: ListenAddress): Holder | null {
  const exact = new Set<string>();
  const overlapping = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    // sl, local_address, rem_address, st, queues, timer, retransmissions, uid, timeout, inode
    for (const [, local = '', , state, , , , , , inode = ''] of tableOf(file)) {
      if (state !== LISTEN) continue;
      const other = addressOf(local);
      if (other.port === address.port && other.host === address.host) exact.add(inode);
      else if (overlap(other, address, [])) overlapping.add(inode);
    }
  }
  return ownerOf(exact) ?? ownerOf(overlapping);
}

/** Who listens at the unix socket `path`; `null` as for `holderOf`. */
export function unixHolderOf(path: string): Holder | null {
  const inodes = new Set<string>();
  // Num, RefCount, Protocol, Flags, Type, St, Inode, Path
  for (const [, , , flags = '', , , inode = '', ...name] of tableOf('/proc/net/unix')) {
    if (name.join(' ') === path && (Number.parseInt(flags, 16) & ACCEPTS) !== 0) inodes.add(inode);
  }
  return ownerOf(inodes);
}

function tableOf(file: string): string[][] {
  try {
    const [, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
    return lines.map((line) => line.trim().split(/\s+/));
  } catch {
    return [];
  }
}

/** Of `0100007F:1F90`: words of 32 bits as the machine has them in memory, and the port. */
function addressOf(text: string): ListenAddress {
  const [words = '', port = ''] = text.split(':');
  const bytes = Buffer.from(words, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  const host = bytes.length === 4 ? bytes.join('.') : bytes.toString('hex').replace(/(.{4})(?!$)/g, '$1:');
  return { host: parseAddress(host)?.text ?? host, port: Number.parseInt(port, 16) };
}

/** Of several, which inherited a socket from one another: the one that is nobody's child among them. */
function ownerOf(inodes: ReadonlySet<string>): Holder | null {
  if (inodes.size === 0) return null;
  const links = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  const pids = listed('/proc').filter((name) => /^\d+$/.test(name) && holdsAny(`/proc/${name}/fd`, links));
  const pid = pids.find((candidate) => !pids.includes(parentOf(candidate))) ?? pids[0];
  return pid === undefined ? null : { pid: Number(pid), name: nameOf(pid) };
}

function holdsAny(directory: string, links: ReadonlySet<string>): boolean {
  return listed(directory).some((fd) => {
    try {
      return links.has(readlinkSync(`${directory}/${fd}`));
    } catch {
      // Closed meanwhile.
      return false;
    }
  });
}

function listed(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function parentOf(pid: string): string {
  return /^PPid:\s*(\d+)/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? '';
}

function nameOf(pid: string): string {
  // A program's title takes the place of its arguments.
  const [program = ''] = textOf(`/proc/${pid}/cmdline`).split('\0');
  const name = basename(program) || textOf(`/proc/${pid}/comm`).trim() || 'a process';
  return name.replace(/[^\x20-\x7e]/g, '?').slice(0, NAME_CHARACTERS);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
