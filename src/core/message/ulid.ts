import type { Random, WallMillis } from '../base/index.ts'

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const maxTime = 2 ** 48 - 1

/**
 * Makes ULIDs (26 characters of Crockford base32: 48 bits of wall-clock milliseconds, 80 random bits) that rise strictly within one
 * maker: in the same millisecond, or when the clock went back, the random part is counted up by one.
 */
export class Ulids {
  readonly #random: Random
  #time = -1
  /** The 80 random bits as sixteen digits of five bits, most significant first. */
  #digits: Uint8Array = new Uint8Array(16)
  /** The text of the time and of all digits but the last two: within a millisecond it rarely changes. */
  #head = ''

  constructor(random: Random) {
    this.#random = random
  }

  /** The next id. @param wall - the wall clock; values outside of 48 bits are clamped. */
  next(wall: WallMillis): string {
    const time = Math.min(Math.max(Math.floor(wall), 0), maxTime)
    if (time > this.#time) this.#renew(time)
    else if (!this.#increment()) this.#renew(this.#time + 1)
    return this.#head + alphabet.charAt(this.#digits[14] ?? 0) + alphabet.charAt(this.#digits[15] ?? 0)
  }

  #renew(time: number): void {
    this.#time = time
    this.#digits = this.#random.bytes(16).map((byte) => byte & 31)
    // Leaves room to count: the first digit is at most 15, so that 2^79 increments fit in a millisecond.
    this.#digits[0] = (this.#digits[0] ?? 0) & 15
    this.#spellHead()
  }

  #increment(): boolean {
    for (let index = 15; index >= 0; index--) {
      const digit = this.#digits[index] ?? 0
      this.#digits[index] = (digit + 1) & 31
      if (digit < 31) {
        if (index < 14) this.#spellHead()
        return true
      }
    }
    return false
  }

  #spellHead(): void {
    const codes = timeCodes(this.#time)
    for (let index = 0; index < 14; index++) codes.push(alphabet.charCodeAt(this.#digits[index] ?? 0))
    // A flat string: one that is still a chain of pieces would be walked again for every id.
    this.#head = String.fromCharCode(...codes)
  }
}

/** The ten characters of a time, as character codes. */
function timeCodes(time: number): number[] {
  const codes: number[] = []
  for (let unit = 32 ** 9; unit >= 1; unit /= 32) codes.push(alphabet.charCodeAt(Math.floor(time / unit) % 32))
  return codes
}
