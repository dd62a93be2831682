/** An IP address as the numbers that it is; IPv4-mapped IPv6 has become IPv4. Text is made for people only. */
export class ClientAddress {
  readonly family: 4 | 6;
  /** In network order, unsigned 32 bits each; IPv4 is the first, and the others are 0. */
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;

  constructor(family: 4 | 6, w0: number, w1 = 0, w2 = 0, w3 = 0) {
    this.family = family;
    this.w0 = w0;
    this.w1 = w1;
    this.w2 = w2;
    this.w3 = w3;
  }

  /** `bytes`: 4 or 16, in network order. */
  static of(bytes: ArrayLike<number>): ClientAddress {
    return bytes.length === 4
      ? new ClientAddress(4, word(bytes, 0))
      : new ClientAddress(6, word(bytes, 0), word(bytes, 4), word(bytes, 8), word(bytes, 12));
  }

  /** 4 or 16, in network order. */
  get bytes(): number[] {
    const words = this.family === 4 ? [this.w0] : [this.w0, this.w1, this.w2, this.w3];
    return words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
  }

  /** IPv4 in four decimal parts, IPv6 as RFC 5952 has it. */
  get text(): string {
    return this.family === 4 ? ipv4Text(this.w0) : ipv6Text([this.w0, this.w1, this.w2, this.w3]);
  }
}

function word(bytes: ArrayLike<number>, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function ipv4Text(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}

const GROUPS = 8;

/** RFC 5952, 4.2: the longest run of two zero groups or more is `::`, of equally long ones the first. */
function ipv6Text(words: readonly number[]): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  let longest = 1;
  let start = GROUPS;
  for (let at = 0, zeros = 0; at < GROUPS; at++) {
    zeros = groups[at] === 0 ? zeros + 1 : 0;
    if (zeros <= longest) continue;
    longest = zeros;
    start = at + 1 - zeros;
  }
  const hex = groups.map((group) => group.toString(16));
  if (start === GROUPS) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + longest).join(':')}`;
}
