/** The randomness port: cryptographically strong on a platform, seeded in the simulator. */
export interface Random {
  /** `length` random bytes. */
  bytes(length: number): Uint8Array
}

/** A uniform integer in 0..bound-1 (bound at most 2^32), by rejection. */
export function randomInteger(random: Random, bound: number): number {
  const limit = Math.floor(2 ** 32 / bound) * bound
  for (;;) {
    const bytes = random.bytes(4)
    const value = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)
    if (value < limit) return value % bound
  }
}

/** A uniform fraction in [0, 1). */
export const randomFraction = (random: Random): number => randomInteger(random, 2 ** 32) / 2 ** 32
