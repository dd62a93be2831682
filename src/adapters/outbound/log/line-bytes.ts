// Runs in: thread; in the primary at its end

const ZERO = 0x30;
const POINT = 0x2e;

/** Lines as bytes, one behind the other, without a text for each of their parts. Grows as it must. */
export class LineBytes {
  #bytes: Buffer;
  #length = 0;
  /** Where each line ends. */
  readonly ends: number[] = [];

  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafe(bytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Until the next change. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
    this.ends.length = 0;
  }

  /** Forgets what was added behind the first `length` bytes, which ends no line. */
  cut(length: number): void {
    this.#length = length;
  }

  endLine(): void {
    this.ends.push(this.#length);
  }

  part(part: Uint8Array): void {
    this.#reserve(part.length);
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
  }

  text(text: string): void {
    this.#reserve(3 * text.length);
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** As JSON has it, of any size; an integer from 0 to 2^53 is what it is made for. */
  number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      this.text(String(value));
      return;
    }
    this.#reserve(16);
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    let rest = value;
    for (let at = this.#length + digits - 1; at >= this.#length; at--) {
      const tens = Math.floor(rest / 10);
      this.#bytes[at] = ZERO + (rest - tens * 10);
      rest = tens;
    }
    this.#length += digits;
  }

  /** With up to three decimals: ms to the microsecond. */
  milliseconds(value: number): void {
    const thousandths = Math.round(value * 1000);
    if (!Number.isSafeInteger(thousandths) || thousandths < 0) {
      this.text(String(value));
      return;
    }
    const whole = Math.floor(thousandths / 1000);
    this.number(whole);
    let rest = thousandths - whole * 1000;
    if (rest === 0) return;
    this.#reserve(4);
    this.#bytes[this.#length++] = POINT;
    for (let place = 100; rest > 0; place /= 10) {
      const digit = Math.floor(rest / place);
      this.#bytes[this.#length++] = ZERO + digit;
      rest -= digit * place;
    }
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + bytes));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
