/** Control, invisible and line-separating characters, and halves of surrogate pairs: a terminal would act on some. */
export const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** `text` on one line, harmless to a terminal: what is unsafe is written as `\u{1b}`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
