/**
 * 32-bit hashes with good avalanche, in integer arithmetic only, so that every host and release computes the same.
 * None is secret: they spread load, they do not protect.
 */

/** The finalizer of MurmurHash3 (Austin Appleby, public domain): every input bit flips each output bit half the time. */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** FNV-1a over the UTF-16 code units of `text`, finalised. Unsigned 32 bits. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix32(h);
}

/** One hash out of two; not symmetric. Unsigned 32 bits. */
export function hashPair(a: number, b: number): number {
  return mix32(Math.imul(a, 0x9e3779b1) ^ b);
}
